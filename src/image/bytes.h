/* Numbers in the byte order of a file; arithmetic of bytes. */
#pragma once

#include "base/base.h"

static inline uint32_t cl_big16(const uint8_t *b) { return (uint32_t)b[0] << 8 | b[1]; }
static inline uint32_t cl_big32(const uint8_t *b) { return cl_big16(b) << 16 | cl_big16(b + 2); }
static inline uint32_t cl_little16(const uint8_t *b) { return (uint32_t)b[1] << 8 | b[0]; }
static inline uint32_t cl_little32(const uint8_t *b) { return cl_little16(b + 2) << 16 | cl_little16(b); }

/* a * b / 255, rounded, as Pillow does it. */
static inline uint8_t cl_multiply_255(uint8_t a, uint8_t b) {
    uint32_t product = (uint32_t)a * b + 128;
    return (uint8_t)(((product >> 8) + product) >> 8);
}

/* One channel composited over white, rounded as Pillow's paste with a mask rounds. */
static inline uint8_t cl_over_white(uint8_t value, uint8_t alpha) {
    uint32_t sum = 255u * (255u - alpha) + (uint32_t)value * alpha + 128;
    return (uint8_t)(((sum >> 8) + sum) >> 8);
}

/* A row of red, green, blue, alpha. */
static inline void cl_row_over_white(uint8_t *row, size_t width) {
    for (size_t x = 0; x < width; x++, row += 4) {
        if (row[3] == 255) continue;
        for (int k = 0; k < 3; k++) row[k] = cl_over_white(row[k], row[3]);
    }
}

static inline uint8_t cl_clip_byte(int value) { return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value; }

/* `factor` times a difference of colour, rounded as Pillow's tables are. */
static inline int cl_ycc_part(double factor, int difference) { return (int)(factor * 64 * (difference - 128) + 0.5); }

/* Y, Cb and Cr (JFIF's, of the full range) become red, green and blue as Pillow converts them: in whole numbers, 6 bits
 * behind the point; the factors are those of ITU-R BT.601. */
static inline void cl_ycc_to_rgb(uint8_t *p) {
    int y = p[0], cb = p[1], cr = p[2];
    p[0] = cl_clip_byte(y + (cl_ycc_part(1.402, cr) >> 6));
    p[1] = cl_clip_byte(y + ((cl_ycc_part(-0.34414, cb) + cl_ycc_part(-0.71414, cr)) >> 6));
    p[2] = cl_clip_byte(y + (cl_ycc_part(1.772, cb) >> 6));
}
