/* The product that leaves out zeros of A, where there are 16 registers: two rows share a list of the places where one
 * of them is not zero. README.md beside this file has the reasons. */
#pragma once

#include <stdbool.h>

#include "kernels/gemm/panels.h"

/* Registers of B beside each other, in up to three panels: with two rows 12 sums, which hide the latency of a
 * multiply-add; 2 numbers of A and one register of B beside them. */
#define PAIR_VECTORS 6
/* Rows of B at a time: 128 of 48 columns take 24 KiB of a first-level cache of 32, and are used for one pair of rows
 * after another. Sums that are not complete wait in memory of their own. */
#define PAIR_DEPTH 128
/* Pairs of rows that are taken through all of B before the next: their lists fit PAIR_ENTRIES, their sums 12 KiB. */
#define PAIRS_MAX 32
#define PAIR_ENTRIES (16 * 1024)
/* Lists: one for each pair and PAIR_DEPTH rows of B. */
#define PAIR_LISTS (PAIR_ENTRIES / PAIR_DEPTH + PAIRS_MAX)

/* Hides from the compiler where a number comes from. gcc 12 would load each register of B twice, once for each row's
 * multiply-add, and keep more addresses than there are registers: 11 cycles for a row of 48 columns instead of 8. */
#define OPAQUE(x) __asm__("" : "+r"(x))
#if defined(__x86_64__)
#define OPAQUE_VECTOR(v) __asm__("" : "+x"(v))
#else /* the portable kernels on another processor */
#define OPAQUE_VECTOR(v) (void)0
#endif

/* Lists the positions from `first` to `last` along k where one of the rows has a number other than 0. */
CL_INLINE uint16_t list_of_pair(const cl_gemm *g, int64_t row, bool both, int64_t first, int64_t last, uint16_t *out) {
    const float *a = g->a + row * g->a_stride, *second = both ? a + g->a_stride : a;
    int64_t count = 0;
    for (int64_t k = first; k < last; k += LANES)
        count += vf_positions(vf_or(vf_load(a + k), vf_load(second + k)), (uint16_t)k, out + count);
    return (uint16_t)count;
}

/* Adds to the sums of a pair of rows the products of one list. They begin as bias, or as the sums so far in `partial`,
 * and go there, or to C. `vectors` is a constant after inlining. */
CL_INLINE void pair_tile(const cl_gemm *g, int64_t row, bool both, int64_t column, const float *panel,
                         const uint16_t *position, int64_t count, bool begins, bool ends, float *partial,
                         const int vectors) {
    const uint16_t *const end = position + count;
    const float *a[2] = {g->a + row * g->a_stride, g->a + (both ? row + 1 : row) * g->a_stride};
    const float *panels[PAIR_VECTORS / NV];
    const int64_t c_stride = g->c_stride, residual_stride = g->residual_stride; /* as in the dense tile */
    float *c = g->c + row * c_stride + column;
    const float *r = g->residual ? g->residual + row * residual_stride + column : NULL;
    vf sum[2][PAIR_VECTORS];
    CL_UNROLL
    for (int p = 0; p < PAIR_VECTORS / NV; p++) panels[p] = panel + p * g->k * NV * LANES;
    CL_UNROLL
    for (int j = 0; j < vectors; j++) {
        CL_UNROLL
        for (int i = 0; i < 2; i++)
            sum[i][j] = !begins   ? vf_load(partial + (i * PAIR_VECTORS + j) * LANES)
                        : g->bias ? vf_load(g->bias + column + j * LANES)
                                  : vf_zero();
    }
    if (ends) /* C and what is added to it, wanted when the list is through */
        for (int i = 0; i < (both ? 2 : 1); i++)
            for (int j = 0; j < vectors; j += PREFETCH_STEP)
                ask_for_line(c + i * c_stride + j * LANES, r ? r + i * residual_stride + j * LANES : NULL);
    CL_UNROLL
    for (int i = 0; i < 2; i++) OPAQUE(a[i]);
    CL_UNROLL
    for (int p = 0; p * NV < vectors; p++) OPAQUE(panels[p]);
    while (position < end) {
        const int64_t k = *position++;
        const vf x[2] = {vf_set1(a[0][k]), vf_set1(a[1][k])};
        int64_t wide = k * NV * LANES, narrow = k * (vectors % NV) * LANES;
        OPAQUE(wide);
        CL_UNROLL
        for (int j = 0; j < vectors; j++) {
            const bool last = j / NV * NV + NV > vectors; /* in a panel of fewer than NV registers */
            vf b = vf_load(panels[j / NV] + (last ? narrow : wide) + j % NV * LANES);
            OPAQUE_VECTOR(b);
            CL_UNROLL
            for (int i = 0; i < 2; i++) sum[i][j] = vf_fma(x[i], b, sum[i][j]);
        }
    }
    const vf low = vf_set1(g->low), high = vf_set1(g->high);
    CL_UNROLL
    for (int i = 0; i < 2; i++) {
        if (!ends) {
            CL_UNROLL
            for (int j = 0; j < vectors; j++) vf_store(partial + (i * PAIR_VECTORS + j) * LANES, sum[i][j]);
            continue;
        }
        if (i == 1 && !both) break;
        CL_UNROLL
        for (int j = 0; j < vectors; j++) {
            /* A sum that is -0 would be +0 with a zero's product added to it, left out or not: here it always is. */
            vf value = vf_add(sum[i][j], vf_zero());
            if (r) value = vf_add(value, vf_load(r + j * LANES));
            vf_store(c + j * LANES, vf_clamp(value, low, high));
        }
        c += c_stride;
        if (r) r += residual_stride;
    }
}

/* The rows first .. last-1 times `vectors` registers of B beside each other. */
CL_INLINE void pair_rows(const cl_gemm *g, int64_t first, int64_t last, int64_t column, const float *panel,
                         const uint16_t *entries, const uint16_t *counts, const int vectors) {
    float partial[PAIRS_MAX * 2 * PAIR_VECTORS * LANES];
    const int64_t lists = (g->k + PAIR_DEPTH - 1) / PAIR_DEPTH;
    for (int64_t list = 0; list < lists; list++)
        for (int64_t row = first, pair = 0; row < last; row += 2, pair++)
            pair_tile(g, row, row + 1 < last, column, panel, entries + pair * g->k + list * PAIR_DEPTH,
                      counts[pair * lists + list], list == 0, list + 1 == lists,
                      partial + pair * 2 * PAIR_VECTORS * LANES, vectors);
}

/* How many of `left` registers come next: all that fit, but not so many that three or fewer remain for a product of
 * their own, whose sums would not hide the latency. */
CL_INLINE int64_t pair_vectors(int64_t left) {
    if (left >= PAIR_VECTORS + 1 && left <= PAIR_VECTORS + 3) return 4;
    return left < PAIR_VECTORS ? left : PAIR_VECTORS;
}

/* Fewer columns leave too few sums: products of EfficientNet with 24 were made at 0.8 to 0.94 times the plain speed. */
#define SPARSE_COLUMNS_MIN 32

/* Whether the product is made so: always or never for the same A x B, whatever the numbers of A and its rows, as it
 * may take the sign of a zero. */
CL_INLINE bool is_sparse(const cl_gemm *g) {
    return g->zeros && g->runs <= 1 && g->k % LANES == 0 && g->k <= PAIR_ENTRIES && g->columns >= SPARSE_COLUMNS_MIN;
}

CL_INLINE void sparse_gemm(const cl_gemm *g) {
    const int64_t n = padded_columns(g->columns), k = g->k, lists = (k + PAIR_DEPTH - 1) / PAIR_DEPTH;
    const int64_t pairs = PAIR_ENTRIES / k < PAIRS_MAX ? PAIR_ENTRIES / k : PAIRS_MAX;
    uint16_t entries[PAIR_ENTRIES];
    uint16_t counts[PAIR_LISTS];
    for (int64_t first = 0, last; first < g->m; first = last) {
        last = first + 2 * pairs < g->m ? first + 2 * pairs : g->m;
        for (int64_t row = first, pair = 0; row < last; row += 2, pair++)
            for (int64_t list = 0; list < lists; list++)
                counts[pair * lists + list] = list_of_pair(g, row, row + 1 < last, list * PAIR_DEPTH,
                                                           (list + 1) * PAIR_DEPTH < k ? (list + 1) * PAIR_DEPTH : k,
                                                           entries + pair * k + list * PAIR_DEPTH);
        const float *panel = g->b;
        for (int64_t column = 0; column < n;) {
            const int64_t vectors = pair_vectors((n - column) / LANES);
            switch (vectors) {
            case 1: pair_rows(g, first, last, column, panel, entries, counts, 1); break;
            case 2: pair_rows(g, first, last, column, panel, entries, counts, 2); break;
            case 3: pair_rows(g, first, last, column, panel, entries, counts, 3); break;
            case 4: pair_rows(g, first, last, column, panel, entries, counts, 4); break;
            case 5: pair_rows(g, first, last, column, panel, entries, counts, 5); break;
            default: pair_rows(g, first, last, column, panel, entries, counts, PAIR_VECTORS); break;
            }
            panel += k * vectors * LANES;
            column += vectors * LANES;
        }
    }
}
