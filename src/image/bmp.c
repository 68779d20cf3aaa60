/* BMP (Windows bitmap): rows of 1, 4, 8, 16, 24 or 32 bits, or runs of 4 or 8. Layouts from Microsoft's description of
 * BITMAPFILEHEADER and BITMAPV5HEADER; which of the odd ones are read, and how, as in Pillow. */
#include "image/bmp.h"
#include "image/bytes.h"

enum { RAW = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3 };

static coulis_status fail(const cl_source *image, const char *what, uint32_t number) {
    return cl_source_fail(image, COULIS_UNREADABLE, "is a BMP that cannot be read: %s (%u)", what, number);
}

static coulis_status read_masks(bmp *b, uint32_t size, size_t *at) {
    const uint8_t *bytes = b->image->bytes;
    uint32_t mask[4] = {0};
    if (size >= 52) {
        for (uint32_t i = 0; i < (size >= 56 ? 4u : 3u); i++) mask[i] = cl_little32(bytes + 54 + 4 * i);
    } else {
        if (b->image->size - *at < 12) return fail(b->image, "its header is cut short", size);
        for (uint32_t i = 0; i < 3; i++) mask[i] = cl_little32(bytes + *at + 4 * i);
        *at += 12;
    }
    b->layout = cl_bmp_layout_of(b->bits, mask);
    return b->layout ? COULIS_OK : fail(b->image, "colour masks of an unknown layout", b->bits);
}

/* The two kinds of header: OS/2's of 12 bytes, and Windows' from 40 on. */
static coulis_status read_info(bmp *b, uint32_t size, uint64_t *width, uint64_t *height) {
    const uint8_t *info = b->image->bytes + 14;
    if (size == 12) {
        *width = cl_little16(info + 4);
        *height = cl_little16(info + 6);
        b->bits = cl_little16(info + 10);
        return COULIS_OK;
    }
    b->top_down = info[11] == 0xFF;
    *width = cl_little32(info + 4);
    *height = cl_little32(info + 8);
    if (b->top_down) *height = (UINT64_C(1) << 32) - *height;
    b->bits = cl_little16(info + 14);
    b->compression = cl_little32(info + 16);
    b->colors = cl_little32(info + 32);
    return COULIS_OK;
}

/* A palette that gives each index its own grey (or, of two colours, black and white) makes an image of grey samples. */
static coulis_status read_palette(bmp *b, uint32_t entry, size_t at) {
    const cl_source *image = b->image;
    if (b->colors == 0 || b->colors > 65536) return fail(image, "a palette of an impossible size", b->colors);
    size_t left = image->size - at, bytes = (size_t)entry * b->colors < left ? (size_t)entry * b->colors : left;
    bool grey = true;
    for (uint32_t i = 0; i < b->colors && grey; i++) {
        uint8_t value = (uint8_t)(b->colors == 2 ? 255 * i : i);
        for (size_t k = i * entry; k < i * entry + 3 && grey; k++) grey = k < bytes && image->bytes[at + k] == value;
    }
    b->mode = !grey ? CL_BMP_PALETTE : b->colors <= 2 ? CL_BMP_BILEVEL : CL_BMP_GREY;
    if (b->mode == CL_BMP_PALETTE && bytes / entry > 256)
        return fail(image, "a palette of too many colours", b->colors);
    for (size_t i = 0; i < 256 && b->mode == CL_BMP_PALETTE && (i + 1) * entry <= bytes; i++)
        for (size_t k = 0; k < 3; k++) b->palette[i][k] = image->bytes[at + i * entry + 2 - k];
    return COULIS_OK;
}

static coulis_status read_header(bmp *b) {
    cl_source *image = b->image;
    if (image->size < 18) return fail(image, "its header is cut short", (uint32_t)image->size);
    const uint8_t *bytes = image->bytes;
    size_t offset = cl_little32(bytes + 10);
    uint32_t size = cl_little32(bytes + 14);
    if (size != 12 && size != 40 && size != 52 && size != 56 && size != 64 && size != 108 && size != 124)
        return fail(image, "a header of an unknown kind", size);
    if (image->size - 14 < size) return fail(image, "its header is cut short", size);
    size_t at = 14 + size;
    uint64_t width = 0, height = 0;
    coulis_status status = read_info(b, size, &width, &height);
    if (!status) status = cl_source_set_size(image, width, height);
    if (status) return status;
    if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 16 && b->bits != 24 && b->bits != 32)
        return fail(image, "pixels of an unknown depth", b->bits);
    uint32_t entry = size == 12 ? 3 : 4;
    if (!b->colors) b->colors = b->bits < 32 ? 1u << b->bits : 0;
    if (offset == at && b->bits <= 8) offset += (size_t)entry * b->colors;
    b->mode = b->bits <= 8 ? CL_BMP_PALETTE : CL_BMP_COLOR;
    b->layout = cl_bmp_layout_of(b->bits, NULL);
    if (b->compression == BITFIELDS)
        status = b->bits > 8 ? read_masks(b, size, &at) : fail(image, "colour masks with a palette", b->bits);
    else if (b->compression > BITFIELDS || (b->compression != RAW && b->bits > 8))
        status = fail(image, "a compression that coulis does not know", b->compression);
    if (!status && b->bits <= 8) {
        status = read_palette(b, entry, at);
        size_t bytes_of_palette = (size_t)entry * b->colors, rest = image->size - at;
        at += bytes_of_palette < rest ? bytes_of_palette : rest;
    }
    b->start = offset ? offset : at;
    return status;
}

/* Where the rows are, and whether all of them are there. */
static coulis_status find_rows(bmp *b) {
    const cl_source *image = b->image;
    uint64_t width = (uint64_t)image->stored_width, height = (uint64_t)image->stored_height;
    uint64_t sample_bits = b->mode == CL_BMP_GREY ? 8 : b->mode == CL_BMP_BILEVEL ? 1 : b->bits;
    b->stride = (width * b->bits + 31) / 8 & ~UINT64_C(3);
    b->row_bytes = (width * sample_bits + 7) / 8;
    if (b->row_bytes > b->stride) return fail(image, "grey samples wider than its rows", b->bits);
    if (b->compression == RLE8 || b->compression == RLE4) return cl_bmp_inflate(b, b->compression == RLE4);
    uint64_t end = b->start + (height - 1) * b->stride + b->row_bytes;
    if (end <= image->size || image->options->truncated == COULIS_TRUNCATED_KEEP) return COULIS_OK;
    return cl_source_fail(image, COULIS_UNREADABLE, "is a BMP cut short: it ends after %zu bytes, %llu too few",
                          image->size, (unsigned long long)(end - image->size));
}

static coulis_status read_rows(cl_decoder *decoder, uint8_t *const *rows, int32_t count) {
    bmp *b = (bmp *)decoder;
    size_t width = (size_t)b->base.width;
    for (int32_t i = 0; i < count; i++, b->row++) {
        uint64_t number = (uint64_t)(b->top_down ? b->row : b->base.height - 1 - b->row);
        uint64_t at = b->start + number * b->stride;
        const uint8_t *from = b->indices ? b->indices + number * width : b->image->bytes + at;
        if (!b->indices && (at > b->image->size || b->image->size - at < b->row_bytes)) {
            memset(b->missing, 0, b->row_bytes);
            from = b->missing;
        }
        cl_bmp_unpack(b, from, rows[i], width);
        if (b->white) cl_row_over_white(rows[i], width);
    }
    return COULIS_OK;
}

static void close_bmp(cl_decoder *decoder) {
    bmp *b = (bmp *)decoder;
    cl_free(b->indices);
    cl_free(b->missing);
    cl_free(b);
}

coulis_status cl_bmp_open(cl_source *image, cl_decoder **decoder) {
    bmp *b = cl_alloc_zero(1, sizeof *b);
    if (!b) return cl_source_fail_memory(image);
    b->image = image;
    coulis_status status = read_header(b);
    if (!status) status = find_rows(b);
    if (!status) {
        b->missing = cl_alloc((size_t)b->row_bytes, 1);
        if (!b->missing) status = cl_source_fail_memory(image);
    }
    if (status) {
        close_bmp(&b->base);
        return status;
    }
    b->base = cl_decoder_of(image, read_rows, close_bmp);
    b->white = image->options->alpha == COULIS_ALPHA_WHITE;
    *decoder = &b->base;
    return COULIS_OK;
}
