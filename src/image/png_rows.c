#include "image/png_rows.h"

#include <stdlib.h>

#include "image/bytes.h"

#define INLINE static inline __attribute__((always_inline))

INLINE void undo_sub(uint8_t *row, size_t size, size_t pixel) {
    for (size_t i = pixel; i < size; i++) row[i] = (uint8_t)(row[i] + row[i - pixel]);
}

INLINE void undo_average(uint8_t *row, const uint8_t *previous, size_t size, size_t pixel) {
    for (size_t i = 0; i < pixel && i < size; i++) row[i] = (uint8_t)(row[i] + previous[i] / 2);
    for (size_t i = pixel; i < size; i++) row[i] = (uint8_t)(row[i] + (row[i - pixel] + previous[i]) / 2);
}

INLINE void undo_paeth(uint8_t *row, const uint8_t *previous, size_t size, size_t pixel) {
    for (size_t i = 0; i < pixel && i < size; i++) row[i] = (uint8_t)(row[i] + previous[i]);
    for (size_t i = pixel; i < size; i++) {
        int a = row[i - pixel], b = previous[i], c = previous[i - pixel];
        int from_a = abs(b - c), from_b = abs(a - c), from_c = abs(a + b - 2 * c);
        int nearest = from_a <= from_b && from_a <= from_c ? a : from_b <= from_c ? b : c;
        row[i] = (uint8_t)(row[i] + nearest);
    }
}

INLINE bool unfilter(uint8_t type, uint8_t *row, const uint8_t *previous, size_t size, size_t pixel) {
    switch (type) {
    case 0: return true;
    case 1: undo_sub(row, size, pixel); return true;
    case 2:
        for (size_t i = 0; i < size; i++) row[i] = (uint8_t)(row[i] + previous[i]);
        return true;
    case 3: undo_average(row, previous, size, pixel); return true;
    case 4: undo_paeth(row, previous, size, pixel); return true;
    default: return false;
    }
}

bool cl_png_unfilter(uint8_t type, uint8_t *row, const uint8_t *previous, size_t size, size_t pixel) {
    switch (pixel) { /* constants let the compiler unroll the common cases */
    case 1: return unfilter(type, row, previous, size, 1);
    case 3: return unfilter(type, row, previous, size, 3);
    case 4: return unfilter(type, row, previous, size, 4);
    default: return unfilter(type, row, previous, size, pixel);
    }
}

uint32_t cl_png_bits(const cl_png_stream *stream) {
    static const uint8_t samples[7] = {1, 0, 3, 1, 2, 0, 4};
    return (uint32_t)stream->depth * samples[stream->color_type];
}

size_t cl_png_pixel_bytes(cl_png_mode mode) {
    switch (mode) {
    case CL_PNG_BILEVEL:
    case CL_PNG_GRAY:
    case CL_PNG_PALETTE: return 1;
    case CL_PNG_GRAY16: return 2;
    default: return 4;
    }
}

/* Samples of less than 8 bits, the first in the highest bits. Grey ones are spread over 0..255. */
static void unpack_small(const cl_png_stream *stream, const uint8_t *packed, uint8_t *pixels, size_t count) {
    uint32_t depth = stream->depth, mask = (1u << depth) - 1;
    uint32_t factor = stream->color_type == 3 ? 1 : 255 / mask;
    for (size_t i = 0; i < count; i++) {
        size_t bit = i * depth;
        uint32_t sample = (uint32_t)packed[bit / 8] >> (8 - depth - bit % 8) & mask;
        pixels[i] = (uint8_t)(sample * factor);
    }
}

/* Of 16-bit samples Pillow keeps the high byte, but in images of grey alone. */
void cl_png_unpack(const cl_png_stream *stream, const uint8_t *packed, uint8_t *pixels, size_t count) {
    if (stream->depth < 8) {
        unpack_small(stream, packed, pixels, count);
        return;
    }
    size_t sample = stream->depth / 8; /* distance of one sample's high byte from the next */
    switch (stream->color_type) {
    case 2:
        for (size_t i = 0; i < count; i++, packed += 3 * sample, pixels += 4) {
            pixels[0] = packed[0];
            pixels[1] = packed[sample];
            pixels[2] = packed[2 * sample];
            pixels[3] = 255;
        }
        break;
    case 4:
        for (size_t i = 0; i < count; i++, packed += 2 * sample, pixels += 4) {
            pixels[0] = pixels[1] = pixels[2] = packed[0];
            pixels[3] = packed[sample];
        }
        break;
    case 6:
        for (size_t i = 0; i < count; i++, packed += 4 * sample, pixels += 4)
            for (size_t k = 0; k < 4; k++) pixels[k] = packed[k * sample];
        break;
    default: memcpy(pixels, packed, count * sample); break;
    }
}

static void set_gray(uint8_t *rgb, uint8_t value) { rgb[0] = rgb[1] = rgb[2] = value; }

static void blend_white(uint8_t *rgb, const uint8_t *color, uint8_t alpha) {
    for (int k = 0; k < 3; k++) rgb[k] = cl_over_white(color[k], alpha);
}

static void palette_to_rgb(const cl_png_colors *colors, const uint8_t *pixels, uint8_t *rgb, size_t count) {
    for (size_t i = 0; i < count; i++, rgb += 4) {
        const uint8_t *entry = colors->palette[pixels[i]];
        if (colors->white) blend_white(rgb, entry, entry[3]);
        else memcpy(rgb, entry, 4);
    }
}

/* 0 to 65535 becomes 0 to 255, rounded. */
static void scale_gray16(const cl_png_colors *colors, const uint8_t *pixels, uint8_t *rgb, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t value = (uint32_t)pixels[2 * i] << 8 | pixels[2 * i + 1];
        bool clear = colors->white && colors->has_color_key && value == colors->wide_key;
        set_gray(rgb + 4 * i, clear ? 255 : (uint8_t)((value * 255 + 32767) / 65535));
    }
}

void cl_png_to_rgb(const cl_png_colors *colors, const uint8_t *pixels, uint8_t *rgb, size_t count) {
    switch (colors->mode) {
    case CL_PNG_PALETTE: palette_to_rgb(colors, pixels, rgb, count); return;
    case CL_PNG_GRAY_ALPHA:
    case CL_PNG_RGBA:
        if (!colors->white) break;
        for (size_t i = 0; i < count; i++) blend_white(rgb + 4 * i, pixels + 4 * i, pixels[4 * i + 3]);
        return;
    case CL_PNG_GRAY16: /* big-endian; unless it is scaled, what does not fit in a byte is white */
        if (colors->scale) {
            scale_gray16(colors, pixels, rgb, count);
            return;
        }
        for (size_t i = 0; i < count; i++) set_gray(rgb + 4 * i, pixels[2 * i] ? 255 : pixels[2 * i + 1]);
        break;
    case CL_PNG_BILEVEL:
    case CL_PNG_GRAY:
        for (size_t i = 0; i < count; i++) set_gray(rgb + 4 * i, pixels[i]);
        break;
    default: break;
    }
    if (cl_png_pixel_bytes(colors->mode) == 4) memcpy(rgb, pixels, 4 * count);
    if (!colors->white || !colors->has_color_key) return;
    for (size_t i = 0; i < count; i++)
        if (memcmp(rgb + 4 * i, colors->color_key, 3) == 0) memset(rgb + 4 * i, 255, 3);
}
