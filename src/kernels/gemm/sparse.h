/* The product where many numbers of A are zeros, as they are after a ReLU: products with zeros are left out.
 * README.md beside this file has the reasons. */
#pragma once

#include <stdbool.h>

#include "kernels/gemm/panels.h"

/* A tile's rows, and the panels it is wide: rows that share a list miss the zeros that only some of them have, so they
 * are few, and wide instead. This needs 32 registers; sparse_pairs.h is for 16. */
#define SPARSE_MR 4
#define SPARSE_PANELS 2

/* Room for the lists of a block of A: one entry for SPARSE_MR numbers of A, if none are zeros. */
#define ENTRIES_MAX (A_BLOCK_BYTES / (int64_t)sizeof(float) / SPARSE_MR)

/* Lists the positions along k where a row of the tile has a number other than 0, as its rows are walked through there
 * only; returns how many there are. `out` has room for k. */
CL_INLINE uint16_t list_positions(const cl_gemm *g, int64_t row, int64_t mr, uint16_t *out) {
    const float *a = g->a + row * g->a_stride;
    int64_t count = 0;
    for (int64_t k = 0; k < g->k; k += LANES) {
        vf any = vf_load(a + k);
        for (int64_t i = 1; i < mr; i++) any = vf_or(any, vf_load(a + i * g->a_stride + k));
        count += vf_positions(any, (uint16_t)k, out + count);
    }
    return (uint16_t)count;
}

/* The sums of a tile: whole registers for each row and, where B has a single panel, perhaps half of one. */
typedef struct sparse_sums {
    vf full[SPARSE_MR][SPARSE_PANELS * NV];
    vh half[SPARSE_MR];
} sparse_sums;

/* A row of B, in a panel of `left` vectors and its neighbour of `right`, or in one of `left` vectors and perhaps half
 * a vector, times a number of each row of A. mr, left, right and half are constants after inlining, so that the sums
 * are registers. */
CL_INLINE void sparse_step(const float *const a[SPARSE_MR], int64_t k, const float *panel, const float *next,
                           sparse_sums *sums, const int mr, const int left, const int right, const int half) {
    const float *const first = panel + k * (left * LANES + half * HALF_LANES);
    const float *const second = next + k * (right * LANES);
    vf x[SPARSE_MR], b[SPARSE_PANELS * NV];
    if (left + right > mr) { /* the numbers of A stay in registers, or those of B: whichever are fewer */
        CL_UNROLL
        for (int i = 0; i < mr; i++) x[i] = vf_set1(a[i][k]);
        CL_UNROLL
        for (int j = 0; j < left + right; j++) {
            b[j] = vf_load(j < left ? first + j * LANES : second + (j - left) * LANES);
            CL_UNROLL
            for (int i = 0; i < mr; i++) sums->full[i][j] = vf_fma(x[i], b[j], sums->full[i][j]);
        }
    } else {
        CL_UNROLL
        for (int j = 0; j < left + right; j++)
            b[j] = vf_load(j < left ? first + j * LANES : second + (j - left) * LANES);
        CL_UNROLL
        for (int i = 0; i < mr; i++) {
            x[i] = vf_set1(a[i][k]);
            CL_UNROLL
            for (int j = 0; j < left + right; j++) sums->full[i][j] = vf_fma(x[i], b[j], sums->full[i][j]);
        }
    }
    if (!half) return;
    const vh tail = vh_load(first + left * LANES);
    CL_UNROLL
    for (int i = 0; i < mr; i++) sums->half[i] = vh_fma(vf_lower(x[i]), tail, sums->half[i]);
}

/* One tile: mr rows of A times those panels. */
CL_INLINE void sparse_tile(const cl_gemm *g, int64_t row, int64_t column, const float *panel, const uint16_t *positions,
                           int64_t count, const int mr, const int left, const int right, const int half) {
    const float *const next = panel + g->k * left * LANES;
    const uint16_t *const end = positions + count;
    const int nv = left + right + half;
    const int64_t c_stride = g->c_stride, residual_stride = g->residual_stride; /* as in the dense tile */
    float *c = g->c + row * c_stride + column;
    const float *r = g->residual ? g->residual + row * residual_stride + column : NULL;
    sparse_sums sums;
    const float *a[SPARSE_MR];
    CL_UNROLL
    for (int i = 0; i < mr; i++) {
        CL_UNROLL
        for (int j = 0; j < left + right; j++)
            sums.full[i][j] = g->bias ? vf_load(g->bias + column + j * LANES) : vf_zero();
        sums.half[i] = half && g->bias ? vh_load(g->bias + column + left * LANES) : vh_zero();
        a[i] = g->a + (row + i) * g->a_stride;
    }
    if (count >= SPARSE_MR * SPARSE_PANELS * NV) { /* as in the dense product, a line at each step */
        for (int i = 0; i < mr; i++)
            for (int j = 0; j < nv; j += PREFETCH_STEP) {
                ask_for_line(c + i * c_stride + j * LANES, r ? r + i * residual_stride + j * LANES : NULL);
                sparse_step(a, *positions++, panel, next, &sums, mr, left, right, half);
            }
    }
    while (positions < end) sparse_step(a, *positions++, panel, next, &sums, mr, left, right, half);
    const vf low = vf_set1(g->low), high = vf_set1(g->high);
    CL_UNROLL
    for (int i = 0; i < mr; i++) {
        CL_UNROLL
        for (int j = 0; j < nv; j++) {
            /* A sum that is -0 would be +0 with a zero's product added to it, left out or not: here it always is. */
            vf value = vf_add(j < left + right ? sums.full[i][j] : vf_of_lower(sums.half[i]), vf_zero());
            if (r) value = vf_add(value, vf_load(r + j * LANES));
            vf_store(c + j * LANES, vf_clamp(value, low, high));
        }
        c += c_stride;
        if (r) r += residual_stride;
    }
}

/* All rows first .. last-1 against those panels; the lists of their tiles lie `room` apart. */
CL_INLINE void sparse_rows(const cl_gemm *g, int64_t first, int64_t last, int64_t column, const float *panel,
                           const uint16_t *entries, int64_t room, const uint16_t *counts, const int left,
                           const int right, const int half) {
    for (int64_t row = first; row < last; row += SPARSE_MR, entries += room, counts++) {
        switch (last - row) {
        case 1: sparse_tile(g, row, column, panel, entries, *counts, 1, left, right, half); break;
        case 2: sparse_tile(g, row, column, panel, entries, *counts, 2, left, right, half); break;
        case 3: sparse_tile(g, row, column, panel, entries, *counts, 3, left, right, half); break;
        default: sparse_tile(g, row, column, panel, entries, *counts, SPARSE_MR, left, right, half); break;
        }
    }
}

#define SPARSE_ROWS(left, right, half)                                                                                 \
    CL_VERSION sparse_rows_##left##right##half(const cl_gemm *g, int64_t first, int64_t last, int64_t column,          \
                                               const float *panel, const uint16_t *entries, int64_t room,              \
                                               const uint16_t *counts) {                                               \
        sparse_rows(g, first, last, column, panel, entries, room, counts, left, right, half);                          \
    }
#if HALF_LANES > 0
SPARSE_ROWS(1, 0, 1)
SPARSE_ROWS(2, 0, 1)
#endif
SPARSE_ROWS(2, 2, 0)
SPARSE_ROWS(3, 0, 0)
SPARSE_ROWS(3, 2, 0)
SPARSE_ROWS(3, 3, 0)
SPARSE_ROWS(2, 0, 0)
#undef SPARSE_ROWS

/* With fewer columns, making the lists takes about what they save. */
#define SPARSE_COLUMNS_MIN 24

/* Whether the product is made so: always or never for the same A x B, whatever the numbers of A and its rows, as it
 * may take the sign of a zero. Half a vector at the end of several panels is left to the dense product, for fewer
 * kinds of tiles. */
CL_INLINE bool is_sparse(const cl_gemm *g) {
    const int64_t n = padded_columns(g->columns);
    return g->zeros && g->runs <= 1 && g->k % LANES == 0 && g->k <= ENTRIES_MAX && g->columns >= SPARSE_COLUMNS_MIN &&
           (n <= NV * LANES || !half_used(n, g->columns));
}

CL_VERSION sparse_gemm(const cl_gemm *g) {
    const int64_t n = padded_columns(g->columns), tiles = ENTRIES_MAX / g->k, k = g->k;
    const int half = half_used(n, g->columns);
    uint16_t entries[ENTRIES_MAX];
    uint16_t counts[ENTRIES_MAX / LANES];
    for (int64_t first = 0, last; first < g->m; first = last) {
        last = first + tiles * SPARSE_MR < g->m ? first + tiles * SPARSE_MR : g->m;
        for (int64_t row = first, t = 0; row < last; row += SPARSE_MR, t++)
            counts[t] = list_positions(g, row, last - row < SPARSE_MR ? last - row : SPARSE_MR, entries + t * k);
        const float *panel = g->b;
        for (int64_t column = 0; column < n;) {
            const int64_t left = panel_vectors((n - column) / LANES), rest = (n - column) / LANES - left;
            const int64_t right = rest > 0 ? panel_vectors(rest) : 0;
            switch (10 * left + right - 5 * half) { /* the vectors of both; a 5: the last of the left is but half one */
#if HALF_LANES > 0
            case 15: sparse_rows_101(g, first, last, column, panel, entries, k, counts); break;
            case 25: sparse_rows_201(g, first, last, column, panel, entries, k, counts); break;
#endif
            case 22: sparse_rows_220(g, first, last, column, panel, entries, k, counts); break;
            case 30: sparse_rows_300(g, first, last, column, panel, entries, k, counts); break;
            case 32: sparse_rows_320(g, first, last, column, panel, entries, k, counts); break;
            case 33: sparse_rows_330(g, first, last, column, panel, entries, k, counts); break;
            case 20: sparse_rows_200(g, first, last, column, panel, entries, k, counts); break;
            default: break;
            }
            panel += k * (left + right) * LANES;
            column += (left + right) * LANES;
        }
    }
}
