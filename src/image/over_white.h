/* Products of bytes, and what is made of them. */
#pragma once

#include "base/base.h"

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
