/* The panels that B is packed into, and the sizes that tiles and blocks of the product have.
 * README.md beside this file has the layout and the reasons for the constants. */
#pragma once

#include <stddef.h>

#include "kernels/kernels.h"
#include "kernels/vector.h"

/* A tile of MR x NV registers accumulates; NV more hold a row of B, and one a number of A. */
#if REGISTERS == 32 && LANES == 4 /* gcc 12 loads ahead and spills 24 sums; 7 rows divide maps of 7x7, 14x14 ... */
#define MR 7
#define NV 3
#elif REGISTERS == 32
#define MR 8
#define NV 3
#else
#define MR 6
#define NV 2
#endif

/* Rows of A that are worked through for all panels of B before the next: about half of the second-level cache, so that
 * they are still there for each panel. Processors with wide registers have 512 KiB and more. */
#define A_BLOCK_BYTES ((LANES >= 8 ? 256 : 128) * 1024)

/* Registers in a cache line. */
#define PREFETCH_STEP (64 / (LANES * 4) > 0 ? 64 / (LANES * 4) : 1)

#if !defined(HALF_LANES) /* registers are narrow, and there is no cheaper half of one */
#define HALF_LANES 0
typedef vf vh;
#define vh_load(p) vf_load(p)
#define vh_zero() vf_zero()
#define vh_fma(a, b, c) vf_fma(a, b, c)
#define vf_lower(v) (v)
#define vf_of_lower(v) (v)
#endif

/* Vectors in the next panel when `left` remain: NV, but the last two share evenly, as a panel
 * of a single vector is loaded once for each broadcast of A. */
CL_INLINE int64_t panel_vectors(int64_t left) {
    if (left >= 2 * NV || left == NV) return NV;
    return left > NV ? (left + 1) / 2 : left;
}

/* Whether of the last vector of columns only the lower half is used. */
CL_INLINE int half_used(int64_t n, int64_t columns) { return HALF_LANES > 0 && n - columns >= HALF_LANES; }

/* With two panels' registers a product of three is made by lower tiles of all three: as two and one, the one would be
 * loaded for each broadcast of A, and its few sums would wait for each other. */
#define WIDE 3
#define WIDE_MR 4

CL_INLINE bool is_wide(int64_t n) { return NV < WIDE && n == WIDE * LANES; }

int64_t KERNEL(cl_gemm_packed_count)(int64_t k, int64_t columns);
void KERNEL(cl_gemm_pack)(int64_t k, int64_t columns, const float *b, int64_t row_stride, int64_t column_stride,
                          float *packed);

CL_INLINE int64_t padded_columns(int64_t columns) { return (columns + LANES - 1) / LANES * LANES; }

int64_t KERNEL(cl_gemm_packed_count)(int64_t k, int64_t columns) {
    const int64_t n = padded_columns(columns);
    return k * (n - half_used(n, columns) * HALF_LANES);
}

/* A panel of `width` columns, of which B has `columns` at most, each k numbers one after another. */
static void pack_transposed(int64_t k, int64_t columns, int64_t width, const float *b, int64_t stride, float *packed) {
    int64_t column = 0;
    for (; column + LANES <= width && column + LANES <= columns; column += LANES, b += LANES * stride) {
        int64_t row = 0;
        for (; row + LANES <= k; row += LANES) {
            vf square[LANES];
            CL_UNROLL
            for (int i = 0; i < LANES; i++) square[i] = vf_load(b + i * stride + row);
            vf_transpose(square);
            CL_UNROLL
            for (int i = 0; i < LANES; i++) vf_store(packed + (row + i) * width + column, square[i]);
        }
        for (; row < k; row++)
            for (int i = 0; i < LANES; i++) packed[row * width + column + i] = b[i * stride + row];
    }
    for (; column < width; column++, b += stride)
        for (int64_t row = 0; row < k; row++) packed[row * width + column] = column < columns ? b[row] : 0.0f;
}

void KERNEL(cl_gemm_pack)(int64_t k, int64_t columns, const float *b, int64_t row_stride, int64_t column_stride,
                          float *packed) {
    const int64_t n = padded_columns(columns), end = n - half_used(n, columns) * HALF_LANES;
    for (int64_t first = 0; first < n;) {
        const int64_t next = is_wide(n) ? n : first + panel_vectors((n - first) / LANES) * LANES;
        const int64_t width = (next < end ? next : end) - first;
        if (row_stride == 1) {
            pack_transposed(k, columns - first, width, b + first * column_stride, column_stride, packed);
        } else if (column_stride == 1 && next <= columns) {
            for (int64_t row = 0; row < k; row++) {
                const float *from = b + row * row_stride + first;
                for (int64_t c = 0; c < width; c += LANES) vf_store(packed + row * width + c, vf_load(from + c));
            }
        } else {
            for (int64_t row = 0; row < k; row++) {
                const float *from = b + row * row_stride + first * column_stride;
                for (int64_t c = 0; c < width; c++)
                    packed[row * width + c] = first + c < columns ? from[c * column_stride] : 0.0f;
            }
        }
        packed += k * width;
        first = next;
    }
}

/* Asks for a line of where a tile goes and of what is added to it, both wanted at its end. */
CL_INLINE void ask_for_line(const float *c, const float *residual) {
    __builtin_prefetch(c, 1);
    if (residual) __builtin_prefetch(residual, 0);
}
