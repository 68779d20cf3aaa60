#include "image/bmp.h"
#include "image/bytes.h"

/* The first of each depth is that of files without masks. */
static const cl_bmp_layout layouts[] = {
    {32, {0xFF0000, 0xFF00, 0xFF, 0}, {2, 1, 0, -1}},
    {32, {0xFF000000, 0xFF0000, 0xFF00, 0}, {3, 2, 1, -1}},
    {32, {0xFF000000, 0xFF00, 0xFF, 0}, {3, 1, 0, -1}},
    {32, {0xFF000000, 0xFF0000, 0xFF00, 0xFF}, {3, 2, 1, 0}},
    {32, {0xFF, 0xFF00, 0xFF0000, 0xFF000000}, {0, 1, 2, 3}},
    {32, {0xFF0000, 0xFF00, 0xFF, 0xFF000000}, {2, 1, 0, 3}},
    {32, {0xFF000000, 0xFF00, 0xFF, 0xFF0000}, {3, 1, 0, 2}},
    {32, {0, 0, 0, 0}, {2, 1, 0, 3}},
    {24, {0xFF0000, 0xFF00, 0xFF, 0}, {2, 1, 0, -1}},
    {16, {0x7C00, 0x3E0, 0x1F, 0}, {0, 0, 0, -1}},
    {16, {0xF800, 0x7E0, 0x1F, 0}, {0, 0, 0, -1}},
};

const cl_bmp_layout *cl_bmp_layout_of(uint32_t bits, const uint32_t *mask) {
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        /* Alpha is compared only where a pixel has room for it. */
        if (layouts[i].bits == bits && (!mask || memcmp(layouts[i].mask, mask, bits == 32 ? 16 : 12) == 0))
            return &layouts[i];
    }
    return NULL;
}

typedef struct runs {
    const uint8_t *bytes;
    size_t size, at;
    uint8_t *out;
    size_t count, done; /* pixels of the image, and written so far */
    size_t width, x;    /* x is what Pillow counts; after odd data it is not where `done` is */
    bool nibbles;
} runs;

static void put(runs *r, uint8_t pixel) {
    if (r->done < r->count) r->out[r->done] = pixel;
    r->done++;
}

static void encoded_run(runs *r, size_t length, uint8_t value) {
    if (r->x + length > r->width) length = r->width > r->x ? r->width - r->x : 0;
    for (size_t i = 0; i < length; i++) put(r, !r->nibbles ? value : i % 2 == 0 ? value >> 4 : value & 15);
    r->x += length;
}

/* False where the data end. */
static bool absolute_run(runs *r, size_t length) {
    size_t pixels = r->count - r->done < length ? r->count - r->done : length;
    size_t bytes = r->nibbles ? (pixels + 1) / 2 : pixels, left = r->size - r->at;
    for (size_t i = 0; i < (bytes < left ? bytes : left); i++) {
        uint8_t value = r->bytes[r->at + i];
        put(r, r->nibbles ? value >> 4 : value);
        if (r->nibbles && 2 * i + 1 < pixels) put(r, value & 15);
    }
    if (left < bytes) return false;
    r->at += bytes;
    if (r->done == r->count) return false;
    r->x += length;
    r->at += r->at & 1; /* runs begin at even places of the file */
    return true;
}

static void skip(runs *r, size_t pixels) {
    for (size_t end = r->done + pixels; r->done < end;) put(r, 0);
}

/* Codes after a zero byte: end of row, end of image, a jump, or pixels as they are. False where the data end. */
static bool escape(runs *r, uint8_t code) {
    if (code > 2) return absolute_run(r, code);
    if (code == 1) return false;
    if (code == 0) {
        if (r->done % r->width) skip(r, r->width - r->done % r->width);
        r->x = 0;
        return true;
    }
    if (r->at > r->size || r->size - r->at < 2) return false;
    size_t jump = r->bytes[r->at] + r->bytes[r->at + 1] * r->width, left = r->count - r->done;
    r->at += 2;
    skip(r, jump < left ? jump : left);
    r->x = r->done % r->width;
    return true;
}

coulis_status cl_bmp_inflate(bmp *b, bool nibbles) {
    const cl_source *image = b->image;
    size_t width = (size_t)image->stored_width, count = width * (size_t)image->stored_height;
    b->indices = cl_alloc_zero(count, 1);
    if (!b->indices) return cl_source_fail_memory(image);
    runs r = {.bytes = image->bytes,
              .size = image->size,
              .at = (size_t)b->start,
              .out = b->indices,
              .count = count,
              .width = width,
              .nibbles = nibbles};
    while (r.done < r.count && r.at < r.size && r.size - r.at >= 2) {
        uint8_t length = r.bytes[r.at], value = r.bytes[r.at + 1];
        r.at += 2;
        if (length) encoded_run(&r, length, value);
        else if (!escape(&r, value)) break;
    }
    if (r.done >= r.count || image->options->truncated == COULIS_TRUNCATED_KEEP) return COULIS_OK;
    return cl_source_fail(image, COULIS_UNREADABLE,
                          "is a BMP cut short: its data end at byte %zu, after %zu of %zu pixels", r.at, r.done, count);
}

static uint8_t scaled(uint32_t pixel, int shift, uint32_t most) {
    return (uint8_t)((pixel >> shift & most) * 255 / most);
}

static void unpack_16(const bmp *b, const uint8_t *from, uint8_t *rgba, size_t width) {
    bool six = b->layout->mask[1] == 0x7E0; /* bits of green */
    for (size_t x = 0; x < width; x++, rgba += 4) {
        uint32_t pixel = cl_little16(from + 2 * x);
        rgba[0] = scaled(pixel, six ? 11 : 10, 31);
        rgba[1] = scaled(pixel, 5, six ? 63 : 31);
        rgba[2] = scaled(pixel, 0, 31);
        rgba[3] = 255;
    }
}

static uint8_t index_at(const bmp *b, const uint8_t *from, size_t x) {
    if (b->indices || b->mode == CL_BMP_GREY) return from[x];
    if (b->mode == CL_BMP_BILEVEL) return from[x / 8] >> (7 - x % 8) & 1 ? 255 : 0;
    switch (b->bits) {
    case 1: return from[x / 8] >> (7 - x % 8) & 1;
    case 4: return x % 2 ? from[x / 2] & 15 : from[x / 2] >> 4;
    default: return from[x];
    }
}

void cl_bmp_unpack(const bmp *b, const uint8_t *from, uint8_t *rgba, size_t width) {
    if (b->mode != CL_BMP_COLOR) {
        for (size_t x = 0; x < width; x++) {
            uint8_t index = index_at(b, from, x);
            if (b->mode == CL_BMP_PALETTE) memcpy(rgba + 4 * x, b->palette[index], 3);
            else memset(rgba + 4 * x, index, 3);
            rgba[4 * x + 3] = 255;
        }
        return;
    }
    if (b->bits == 16) {
        unpack_16(b, from, rgba, width);
        return;
    }
    const int8_t *byte = b->layout->byte;
    for (size_t x = 0; x < width; x++, from += b->bits / 8, rgba += 4) {
        for (int k = 0; k < 3; k++) rgba[k] = from[byte[k]];
        rgba[3] = byte[3] < 0 ? 255 : from[byte[3]];
    }
}
