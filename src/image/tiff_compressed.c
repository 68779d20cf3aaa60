/* Compressed strips and tiles, by libtiff from memory. */
#include <errno.h>
#include <stdio.h>
#include <tiffio.h>

#include "image/tiff.h"

typedef struct file {
    const uint8_t *bytes;
    uint64_t size, at;
    char reason[200]; /* the first error that libtiff told */
} file;

static tmsize_t read_some(thandle_t handle, void *to, tmsize_t size) {
    file *f = handle;
    uint64_t left = f->at < f->size ? f->size - f->at : 0, count = (uint64_t)size < left ? (uint64_t)size : left;
    memcpy(to, f->bytes + (f->at < f->size ? f->at : 0), (size_t)count);
    f->at += count;
    return (tmsize_t)count;
}

static tmsize_t write_none(thandle_t handle, void *from, tmsize_t size) {
    (void)handle, (void)from, (void)size;
    return -1;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    file *f = handle;
    f->at = whence == SEEK_SET ? offset : whence == SEEK_CUR ? f->at + offset : f->size + offset;
    return f->at;
}

static int close_none(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle) { return ((file *)handle)->size; }

static int map(thandle_t handle, void **base, toff_t *size) {
    file *f = handle;
    *base = (void *)(uintptr_t)f->bytes;
    *size = f->size;
    return 1;
}

static void unmap(thandle_t handle, void *base, toff_t size) { (void)handle, (void)base, (void)size; }

static int keep_reason(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    file *f = user;
    (void)tiff, (void)module;
    if (!f->reason[0]) vsnprintf(f->reason, sizeof f->reason, format, arguments);
    return 1;
}

static int ignore(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)user, (void)module, (void)format, (void)arguments;
    return 1;
}

/* libtiff says that memory is short as it says everything else; errno distinguishes it. */
static coulis_status fail(const cl_tiff *t, const file *f) {
    if (errno == ENOMEM) return cl_source_fail_memory(t->image);
    return cl_source_fail(t->image, COULIS_UNREADABLE, "is a damaged TIFF: %s",
                          f->reason[0] ? f->reason : "its data are invalid");
}

typedef struct block {
    uint8_t *bytes;
    tmsize_t size, row_bytes;
    uint32_t width, height; /* of a tile, or a strip */
    bool tiled;
} block;

/* Sizes are those that libtiff will write: more than the image explains is refused before allocating. */
static coulis_status find_block(const cl_tiff *t, TIFF *tiff, const file *f, block *b) {
    const cl_source *p = t->image;
    uint32_t width = (uint32_t)p->stored_width, height = (uint32_t)p->stored_height;
    b->tiled = TIFFIsTiled(tiff);
    b->width = width;
    b->height = height;
    if (b->tiled) {
        bool told = TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &b->width);
        if (!told || !TIFFGetField(tiff, TIFFTAG_TILELENGTH, &b->height)) return fail(t, f);
    } else if (TIFFGetField(tiff, TIFFTAG_ROWSPERSTRIP, &b->height) && b->height > height) {
        b->height = height;
    }
    if (b->width == 0 || b->height == 0) return cl_tiff_fail(t, "it has strips or tiles without pixels");
    if ((uint64_t)b->width * b->height > (uint64_t)p->options->max_pixels) {
        return cl_source_fail(p, COULIS_TOO_LARGE, "is a TIFF in tiles of %u x %u pixels, more than the limit",
                              b->width, b->height);
    }
    b->size = b->tiled ? TIFFTileSize(tiff) : TIFFStripSize(tiff);
    b->row_bytes = b->tiled ? TIFFTileRowSize(tiff) : TIFFScanlineSize(tiff);
    uint64_t row = ((uint64_t)b->width * t->bits * (t->planes ? 1 : t->samples) + 7) / 8;
    if (b->size <= 0 || b->row_bytes <= 0 || (uint64_t)b->row_bytes != row ||
        (uint64_t)b->size != row * (uint64_t)b->height) {
        return cl_tiff_fail(t, "the rows of its strips or tiles are not as long as its pixels");
    }
    b->bytes = cl_alloc_zero((size_t)b->size, 1);
    return b->bytes ? COULIS_OK : cl_source_fail_memory(p);
}

/* The block that begins at pixel (x, y) of a plane; false when it is not sound. */
static bool read_block(const cl_tiff *t, TIFF *tiff, const block *b, uint32_t x, uint32_t y, uint32_t plane) {
    memset(b->bytes, 0, (size_t)b->size);
    tmsize_t got = b->tiled ? TIFFReadTile(tiff, b->bytes, x, y, 0, (uint16_t)plane)
                            : TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, y, (uint16_t)plane), b->bytes, b->size);
    if (got < 0) return false;
    uint32_t width = (uint32_t)t->image->stored_width, height = (uint32_t)t->image->stored_height;
    uint32_t columns = width - x < b->width ? width - x : b->width;
    for (uint32_t row = 0; row < b->height && row < height - y; row++) {
        const uint8_t *from = b->bytes + (tmsize_t)row * b->row_bytes;
        uint8_t *to = t->canvas->pixels + ((size_t)(y + row) * width + x) * 4;
        if (t->planes) cl_tiff_unpack_plane(t, plane, from, to, columns);
        else cl_tiff_unpack(t, from, to, columns);
    }
    return true;
}

static coulis_status read_blocks(const cl_tiff *t, TIFF *tiff, const file *f) {
    block b;
    coulis_status status = find_block(t, tiff, f, &b);
    if (status) return status;
    uint32_t planes = t->planes ? t->samples : 1;
    bool good = true;
    for (uint32_t y = 0; good && y < (uint32_t)t->image->stored_height; y += b.height) {
        for (uint32_t plane = 0; good && plane < planes; plane++)
            for (uint32_t x = 0; good && x < (uint32_t)t->image->stored_width; x += b.width)
                good = read_block(t, tiff, &b, x, y, plane);
    }
    if (!good && t->image->options->truncated == COULIS_TRUNCATED_REFUSE) status = fail(t, f);
    cl_free(b.bytes);
    return status;
}

/* Brightness and two differences of colour, those often at half the size: libtiff makes colours of them. */
static coulis_status read_as_rgba(cl_tiff *t, TIFF *tiff, const file *f) {
    char reason[1024] = "";
    TIFFRGBAImage rgba;
    if (!TIFFRGBAImageOK(tiff, reason) || !TIFFRGBAImageBegin(&rgba, tiff, 1, reason)) {
        if (errno == ENOMEM) return cl_source_fail_memory(t->image);
        return cl_source_fail(t->image, COULIS_UNREADABLE, "is a damaged TIFF: %.200s", reason);
    }
    /* The image is turned later, as a whole. */
    rgba.orientation = rgba.req_orientation = ORIENTATION_TOPLEFT;
    uint32_t width = rgba.width, height = rgba.height;
    bool fits = width == (uint32_t)t->image->stored_width && height == (uint32_t)t->image->stored_height;
    bool good = fits && TIFFRGBAImageGet(&rgba, (uint32_t *)(void *)t->canvas->pixels, width, height);
    TIFFRGBAImageEnd(&rgba);
    for (size_t i = 0; good && i < (size_t)width * height; i++) {
        uint32_t pixel;
        uint8_t *to = t->canvas->pixels + 4 * i;
        memcpy(&pixel, to, sizeof pixel);
        to[0] = (uint8_t)TIFFGetR(pixel);
        to[1] = (uint8_t)TIFFGetG(pixel);
        to[2] = (uint8_t)TIFFGetB(pixel);
    }
    t->kind = CL_TIFF_RGB;
    t->alpha = CL_TIFF_OPAQUE;
    return good ? COULIS_OK : fail(t, f);
}

static coulis_status read_all(cl_tiff *t, TIFF *tiff, const file *f, uint32_t compression) {
    uint32_t width = 0, height = 0;
    uint16_t photometric = 0;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    if (width != (uint32_t)t->image->stored_width || height != (uint32_t)t->image->stored_height)
        return cl_tiff_fail(t, "its directory contradicts itself");
    TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric);
    t->swapped = false;  /* libtiff gives samples in the order of this machine, */
    t->reversed = false; /* and the first pixel in the highest bits */
    if (compression == COMPRESSION_OJPEG) return read_as_rgba(t, tiff, f);
    if (photometric == PHOTOMETRIC_YCBCR) {
        if (compression != COMPRESSION_JPEG || t->planes || t->samples != 3) return read_as_rgba(t, tiff, f);
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB); /* libjpeg makes the colours */
        t->kind = CL_TIFF_RGB;
    }
    return read_blocks(t, tiff, f);
}

coulis_status cl_tiff_read_compressed(cl_tiff *t, uint32_t compression) {
    file f = {.bytes = t->image->bytes, .size = t->image->size};
    errno = 0;
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return cl_source_fail_memory(t->image);
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_reason, &f);
    TIFFOpenOptionsSetWarningHandlerExtR(options, ignore, NULL);
    /* What libtiff may ask for at once: a block of 16 bytes a pixel at most, and tables. */
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)t->image->options->max_pixels * 16 + (16 << 20));
    TIFF *tiff = TIFFClientOpenExt("image", "rC", &f, read_some, write_none, seek, close_none, size_of, map, unmap,
                                   options);
    TIFFOpenOptionsFree(options);
    if (!tiff) return fail(t, &f);
    coulis_status status = read_all(t, tiff, &f, compression);
    TIFFClose(tiff);
    return status;
}
