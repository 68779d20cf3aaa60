#include "image/format.h"

#include <stdbool.h>
#include <string.h>

typedef struct signature {
    size_t offset, length;
    const char *bytes;
    const char *name;
} signature;

/* Signatures of formats people have in folders of pictures. Order matters where one begins as another does. */
static const signature others[] = {
    {0, 4, "GIF8", "GIF"},
    {0, 2, "BM", "BMP"},
    {0, 4, "II\x2a\0", "TIFF, or a camera's raw format"},
    {0, 4, "MM\0\x2a", "TIFF, or a camera's raw format"},
    {0, 4, "II\x2b\0", "BigTIFF"},
    {0, 4, "MM\0\x2b", "BigTIFF"},
    {4, 8, "ftypavif", "AVIF"},
    {4, 8, "ftypavis", "AVIF"},
    {4, 7, "ftyphei", "HEIF"},
    {4, 7, "ftyphev", "HEIF"},
    {4, 8, "ftypmif1", "HEIF"},
    {4, 8, "ftypmsf1", "HEIF"},
    {4, 7, "ftypcrx", "Canon CR3"},
    {4, 4, "ftyp", "MP4 video"},
    {0, 4, "8BPS", "Photoshop PSD"},
    {0, 12, "\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"},
    {0, 4, "\xff\x4f\xff\x51", "JPEG 2000"},
    {0, 12, "\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"},
    {0, 2, "\xff\x0a", "JPEG XL"},
    {0, 4, "\0\0\1\0", "Windows icon"},
    {0, 4, "\0\0\2\0", "Windows cursor"},
    {0, 4, "icns", "Apple icon"},
    {0, 5, "%PDF-", "PDF"},
    {0, 4, "%!PS", "PostScript"},
    {0, 8, "\x8aMNG\r\n\x1a\n", "MNG"},
    {0, 4, "qoif", "QOI"},
    {0, 4, "DDS ", "DDS"},
    {0, 4, "\x76\x2f\x31\x01", "OpenEXR"},
    {0, 10, "#?RADIANCE", "Radiance HDR"},
    {0, 4, "PK\3\4", "ZIP archive"},
    {0, 3, "\x1f\x8b\x08", "gzip archive"},
    {0, 4, "\x1a\x45\xdf\xa3", "Matroska or WebM video"},
    {0, 4, "PAR1", "Parquet table"},
    {8, 4, "AVI ", "AVI video"},
    {0, 4, "RIFF", "RIFF"},
};

static bool matches(const uint8_t *bytes, size_t size, size_t offset, const char *expected, size_t length) {
    return size >= offset + length && memcmp(bytes + offset, expected, length) == 0;
}

/* P1 to P6, then white space. */
static bool is_netpbm(const uint8_t *bytes, size_t size) {
    return size >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
           (bytes[2] == ' ' || bytes[2] == '\n' || bytes[2] == '\r' || bytes[2] == '\t');
}

/* HTML, SVG and other text, by the first 512 bytes. */
static const char *text_kind(const uint8_t *bytes, size_t size) {
    char start[513];
    size_t length = size < sizeof start - 1 ? size : sizeof start - 1;
    for (size_t i = 0; i < length; i++) {
        bool control = bytes[i] < 0x20 || bytes[i] == 0x7F;
        if (control && !(bytes[i] && strchr("\n\r\t\f", bytes[i]))) return "";
        start[i] = (char)(bytes[i] >= 'A' && bytes[i] <= 'Z' ? bytes[i] + 32 : bytes[i]);
    }
    start[length] = '\0';
    if (strstr(start, "<svg")) return "SVG";
    if (strstr(start, "<html") || strstr(start, "<!doctype html")) return "HTML";
    return "text";
}

cl_format cl_format_of(const uint8_t *bytes, size_t size, const char **looks_like) {
    *looks_like = "";
    if (matches(bytes, size, 0, "\xff\xd8\xff", 3)) return CL_FORMAT_JPEG;
    if (matches(bytes, size, 0, "\x89PNG\r\n\x1a\n", 8)) return CL_FORMAT_PNG;
    if (matches(bytes, size, 0, "RIFF", 4) && matches(bytes, size, 8, "WEBP", 4)) return CL_FORMAT_WEBP;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (matches(bytes, size, others[i].offset, others[i].bytes, others[i].length)) {
            *looks_like = others[i].name;
            return CL_FORMAT_OTHER;
        }
    }
    *looks_like = is_netpbm(bytes, size) ? "PNM" : text_kind(bytes, size);
    return CL_FORMAT_OTHER;
}
