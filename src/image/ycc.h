/* YCbCr (JFIF's, of the full range) to RGB as Pillow converts it: in whole numbers, 6 bits behind the point. */
#pragma once

#include "base/base.h"

static inline uint8_t cl_clip_byte(int value) { return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value; }

/* `factor` times a difference of colour, rounded as Pillow's tables are. */
static inline int cl_ycc_part(double factor, int difference) { return (int)(factor * 64 * (difference - 128) + 0.5); }

/* Y, Cb and Cr become red, green and blue; the factors are those of ITU-R BT.601. */
static inline void cl_ycc_to_rgb(uint8_t *p) {
    int y = p[0], cb = p[1], cr = p[2];
    p[0] = cl_clip_byte(y + (cl_ycc_part(1.402, cr) >> 6));
    p[1] = cl_clip_byte(y + ((cl_ycc_part(-0.34414, cb) + cl_ycc_part(-0.71414, cr)) >> 6));
    p[2] = cl_clip_byte(y + (cl_ycc_part(1.772, cb) >> 6));
}
