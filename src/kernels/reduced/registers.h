/* The product in registers of AVX-512. The including file gives:
 *
 *   SUM            a register of 16 sums
 *   dot(s, a, b)   s plus, in each lane, the products of a unit of a and one of b
 *   sum_vf(s)      the sums as float32
 *   BYTES          whether units are of bytes
 *   PRODUCT        the kernel's name */
#include <stddef.h>

#include "kernels/reduced/common.h"

/* A tile of 8 x 3 registers of sums, as gemm has it: 3 more hold units of B and one those of A. */
#define MR 8
#define NV 3

CL_INLINE void tile(const block *s, int64_t row, int64_t column, const int mr, const int nv) {
    const uint32_t *panel = s->b + column * s->units, *a[MR];
    SUM sum[MR][NV];
    CL_UNROLL
    for (int i = 0; i < mr; i++) {
        CL_UNROLL
        for (int j = 0; j < nv; j++) sum[i][j] = (SUM)_mm512_setzero_si512();
        a[i] = s->a + (row + i) * s->stride;
    }
    for (int64_t u = 0; u < s->units; u++) {
        __m512i b[NV];
        CL_UNROLL
        for (int j = 0; j < nv; j++) b[j] = _mm512_loadu_si512(panel + (j * s->units + u) * CL_REDUCED_COLUMNS);
        CL_UNROLL
        for (int i = 0; i < mr; i++) {
            const __m512i x = _mm512_set1_epi32((int)a[i][u]);
            CL_UNROLL
            for (int j = 0; j < nv; j++) sum[i][j] = dot(sum[i][j], x, b[j]);
        }
    }
    CL_UNROLL
    for (int i = 0; i < mr; i++) {
        CL_UNROLL
        for (int j = 0; j < nv; j++) finish(s, row + i, column + j * LANES, sum_vf(sum[i][j]), BYTES);
    }
}

/* All rows of the block against nv panels. */
CL_INLINE void panels(const block *s, int64_t column, const int nv) {
    int64_t row = 0;
    for (; row + MR <= s->rows; row += MR) tile(s, row, column, MR, nv);
    switch (s->rows - row) {
    case 1: tile(s, row, column, 1, nv); break;
    case 2: tile(s, row, column, 2, nv); break;
    case 3: tile(s, row, column, 3, nv); break;
    case 4: tile(s, row, column, 4, nv); break;
    case 5: tile(s, row, column, 5, nv); break;
    case 6: tile(s, row, column, 6, nv); break;
    case 7: tile(s, row, column, 7, nv); break;
    default: break;
    }
}

static void multiply(const block *s) {
    const int64_t count = cl_reduced_padded(s->g->columns) / CL_REDUCED_COLUMNS;
    for (int64_t first = 0, taken; first < count; first += taken) {
        /* As in gemm: the last two share evenly. */
        const int64_t left = count - first;
        taken = left >= 2 * NV || left == NV ? NV : left > NV ? (left + 1) / 2 : left;
        switch (taken) {
        case 1: panels(s, first * CL_REDUCED_COLUMNS, 1); break;
        case 2: panels(s, first * CL_REDUCED_COLUMNS, 2); break;
        default: panels(s, first * CL_REDUCED_COLUMNS, 3); break;
        }
    }
}

void PRODUCT(const cl_gemm *g, float *scratch);
void PRODUCT(const cl_gemm *g, float *scratch) { each_block(g, scratch, BYTES, multiply); }
