/* The inner loop of both passes of resizing: a weighted sum of rows of bytes.
 *
 * Weights are fixed-point numbers with CL_RESIZE_BITS bits after the point. Sums are exact (modulo 2^32,
 * and a complete sum fits), so that every instruction set gives the same bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"

/* Pillow's: 32 bits less 8 of the result and 2 for sums outside 0..255. */
#define CL_RESIZE_BITS 22

/* Rows are read and `out` is written in groups of this many bytes: both need as
 * many bytes after their end, less one. */
#define CL_RESIZE_GROUP 16

/* out[i] = clip(sum over t of weights[t] * rows[t * stride + i]), i < n. A sum over very many rows can be made in
 * slices: `begin` starts it, `end` rounds it into `out`, and between them it is kept in `partial`. */
typedef struct cl_resize_sum {
    const uint8_t *rows;
    size_t stride;
    const int32_t *weights;
    int64_t taps;
    size_t n;
    bool begin, end;
    int32_t *partial; /* n numbers, rounded up to a whole group; not used when both begin and end */
    uint8_t *out;
} cl_resize_sum;

typedef void (*cl_resize_kernel)(const cl_resize_sum *sum);

/* The kernel for `level`; the portable one when this build has none for it. */
cl_resize_kernel cl_resize_kernel_for(cl_cpu_level level);
