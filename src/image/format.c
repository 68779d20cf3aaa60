#include "image/format.h"

#include <strings.h>

/* One row for each signature. Order matters where one begins as another does. */
static const cl_image_format formats[] = {
    {0, 3, "\xff\xd8\xff", "JPEG", cl_jpeg_open},
    {0, 8, "\x89PNG\r\n\x1a\n", "PNG", cl_png_open},
    {0, 12, "RIFF????WEBP", "WebP", cl_webp_open},
    {0, 6, "GIF87a", "GIF", cl_gif_open},
    {0, 6, "GIF89a", "GIF", cl_gif_open},
    {0, 2, "BM", "BMP", cl_bmp_open},
    {0, 4, "II\x2a\0", "TIFF", cl_tiff_open},
    {0, 4, "MM\0\x2a", "TIFF", cl_tiff_open},
    {0, 4, "II\0\x2a", "TIFF", cl_tiff_open}, /* the number in the wrong order, as some programs write it */
    {0, 4, "MM\x2a\0", "TIFF", cl_tiff_open},
    {0, 4, "II\x2b\0", "BigTIFF", cl_tiff_open},
    {0, 4, "MM\0\x2b", "BigTIFF", cl_tiff_open},
    {4, 8, "ftypavif", "AVIF", cl_avif_open},
    {4, 8, "ftypavis", "AVIF", cl_avif_open},
    {4, 7, "ftyphei", "HEIF", cl_heif_open},
    {4, 7, "ftyphev", "HEIF", cl_heif_open},
    {4, 8, "ftypmif1", "HEIF", cl_heif_or_avif_open},
    {4, 8, "ftypmsf1", "HEIF", cl_heif_or_avif_open},
    {4, 7, "ftypcrx", "Canon CR3", cl_raw_open},
    {0, 4, "IIRO", "Olympus ORF", cl_raw_open},
    {0, 4, "IIRS", "Olympus ORF", cl_raw_open},
    {0, 4, "IIU\0", "Panasonic RW2", cl_raw_open},
    {0, 15, "FUJIFILMCCD-RAW", "Fujifilm RAF", cl_raw_open},
    {4, 4, "ftyp", "MP4 video", NULL},
    {0, 4, "8BPS", "Photoshop PSD", NULL},
    {0, 12, "\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", cl_jp2_open},
    {0, 4, "\xff\x4f\xff\x51", "JPEG 2000", cl_jp2_open},
    {0, 12, "\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", cl_jxl_open},
    {0, 2, "\xff\x0a", "JPEG XL", cl_jxl_open},
    {0, 4, "\0\0\1\0", "Windows icon", NULL},
    {0, 4, "\0\0\2\0", "Windows cursor", NULL},
    {0, 4, "icns", "Apple icon", NULL},
    {0, 5, "%PDF-", "PDF", NULL},
    {0, 4, "%!PS", "PostScript", NULL},
    {0, 8, "\x8aMNG\r\n\x1a\n", "MNG", NULL},
    {0, 4, "qoif", "QOI", NULL},
    {0, 4, "DDS ", "DDS", NULL},
    {0, 4, "\x76\x2f\x31\x01", "OpenEXR", NULL},
    {0, 10, "#?RADIANCE", "Radiance HDR", NULL},
    {0, 4, "PK\3\4", "ZIP archive", NULL},
    {0, 3, "\x1f\x8b\x08", "gzip archive", NULL},
    {0, 4, "\x1a\x45\xdf\xa3", "Matroska or WebM video", NULL},
    {0, 4, "PAR1", "Parquet table", NULL},
    {8, 4, "AVI ", "AVI video", NULL},
    {0, 4, "RIFF", "RIFF", NULL},
};

static const char *const endings[] = {"jpg", "jpeg", "jpe",  "jfif", "png",  "apng", "webp", "gif", "bmp",
                                      "dib", "tif",  "tiff", "avif", "heic", "heif", "jp2",  "j2k", "jpx",
                                      "jxl", "ico",  "ppm",  "pgm",  "pbm",  "tga",  "psd",  "svg", "dng",
                                      "cr2", "cr3",  "nef",  "arw",  "orf",  "rw2",  "raf",  "pef", "srw"};

static bool matches(const cl_image_format *format, const uint8_t *bytes, size_t size) {
    if (size < format->offset + format->length) return false;
    for (size_t i = 0; i < format->length; i++)
        if (format->signature[i] != '?' && (uint8_t)format->signature[i] != bytes[format->offset + i]) return false;
    return true;
}

/* P1 to P6, then white space. */
static bool is_netpbm(const uint8_t *bytes, size_t size) {
    return size >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
           (bytes[2] == ' ' || bytes[2] == '\n' || bytes[2] == '\r' || bytes[2] == '\t');
}

/* HTML, SVG and other text, by the first 512 bytes. */
static const cl_image_format *text_kind(const uint8_t *bytes, size_t size) {
    static const cl_image_format svg = {.name = "SVG"}, html = {.name = "HTML"}, text = {.name = "text"},
                                 unknown = {.name = ""};
    char start[513];
    size_t length = size < sizeof start - 1 ? size : sizeof start - 1;
    for (size_t i = 0; i < length; i++) {
        bool control = bytes[i] < 0x20 || bytes[i] == 0x7F;
        if (control && !(bytes[i] && strchr("\n\r\t\f", bytes[i]))) return &unknown;
        start[i] = (char)(bytes[i] >= 'A' && bytes[i] <= 'Z' ? bytes[i] + 32 : bytes[i]);
    }
    start[length] = '\0';
    if (strstr(start, "<svg")) return &svg;
    return strstr(start, "<html") || strstr(start, "<!doctype html") ? &html : &text;
}

const cl_image_format *cl_format_of(const uint8_t *bytes, size_t size) {
    static const cl_image_format netpbm = {.name = "PNM"};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (matches(&formats[i], bytes, size)) return &formats[i];
    return is_netpbm(bytes, size) ? &netpbm : text_kind(bytes, size);
}

bool cl_is_image_name(const char *name) {
    const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot + 1, endings[i]) == 0) return true;
    return false;
}
