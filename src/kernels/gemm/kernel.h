/* Matrix product with everything that follows a convolution fused into the store.
 * README.md beside this file has the layout and the reasons for the constants. */
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

/* Rows of A that are worked through for all panels of B before the next: about half of
 * a small second-level cache (256 KiB), so that they are still there for each panel. */
#define A_BLOCK_BYTES (128 * 1024)

/* Registers in a cache line. */
#define PREFETCH_STEP (64 / (LANES * 4) > 0 ? 64 / (LANES * 4) : 1)

/* Vectors in the next panel when `left` remain: NV, but the last two share evenly, as a panel
 * of a single vector is loaded once for each broadcast of A. */
CL_INLINE int64_t panel_vectors(int64_t left) {
    if (left >= 2 * NV || left == NV) return NV;
    return left > NV ? (left + 1) / 2 : left;
}

int64_t KERNEL(cl_gemm_packed_count)(int64_t k, int64_t n);
void KERNEL(cl_gemm_pack)(int64_t k, int64_t n, int64_t columns, const float *b, int64_t row_stride,
                          int64_t column_stride, float *packed);
void KERNEL(cl_gemm)(const cl_gemm *gemm);

int64_t KERNEL(cl_gemm_packed_count)(int64_t k, int64_t n) { return k * n; }

void KERNEL(cl_gemm_pack)(int64_t k, int64_t n, int64_t columns, const float *b, int64_t row_stride,
                          int64_t column_stride, float *packed) {
    for (int64_t first = 0; first < n;) {
        int64_t width = panel_vectors((n - first) / LANES) * LANES;
        for (int64_t row = 0; row < k; row++) {
            for (int64_t column = first; column < first + width; column++)
                *packed++ = column < columns ? b[row * row_stride + column * column_stride] : 0.0f;
        }
        first += width;
    }
}

/* One tile: mr rows of A times a panel of nv vectors. mr and nv are constants after inlining,
 * so that the accumulators are registers. */
CL_INLINE void tile(const cl_gemm *g, int64_t row, int64_t column, const float *panel, const int mr, const int nv) {
    vf sum[MR][NV];
    CL_UNROLL
    for (int i = 0; i < mr; i++) {
        CL_UNROLL
        for (int j = 0; j < nv; j++) sum[i][j] = g->bias ? vf_load(g->bias + column + j * LANES) : vf_zero();
    }
    const float *a[MR];
    CL_UNROLL
    for (int i = 0; i < mr; i++) {
        a[i] = g->a + (row + i) * g->a_stride;
        /* Where the result goes and what is added to it is wanted at the end: ask for it now. */
        CL_UNROLL
        for (int j = 0; j < nv; j += PREFETCH_STEP) {
            __builtin_prefetch(g->c + (row + i) * g->c_stride + column + j * LANES, 1);
            if (g->residual) __builtin_prefetch(g->residual + (row + i) * g->residual_stride + column + j * LANES, 0);
        }
    }
    for (int64_t run = 0, first = 0;; first += g->run_stride) {
        const int64_t last = first + g->k;
        for (int64_t k = first; k < last; k++) {
            vf b[NV];
            CL_UNROLL
            for (int j = 0; j < nv; j++) b[j] = vf_load(panel + j * LANES);
            panel += nv * LANES;
            CL_UNROLL
            for (int i = 0; i < mr; i++) {
                vf x = vf_set1(a[i][k]);
                CL_UNROLL
                for (int j = 0; j < nv; j++) sum[i][j] = vf_fma(x, b[j], sum[i][j]);
            }
        }
        if (++run >= g->runs) break;
    }
    const vf low = vf_set1(g->low), high = vf_set1(g->high);
    CL_UNROLL
    for (int i = 0; i < mr; i++) {
        float *c = g->c + (row + i) * g->c_stride + column;
        if (g->residual) {
            const float *r = g->residual + (row + i) * g->residual_stride + column;
            CL_UNROLL
            for (int j = 0; j < nv; j++) sum[i][j] = vf_add(sum[i][j], vf_load(r + j * LANES));
        }
        CL_UNROLL
        for (int j = 0; j < nv; j++) vf_store(c + j * LANES, vf_clamp(sum[i][j], low, high));
    }
}

/* All rows first .. last-1 against one panel. */
CL_INLINE void panel_rows(const cl_gemm *g, int64_t first, int64_t last, int64_t column, const float *panel,
                          const int nv) {
    int64_t row = first;
    for (; row + MR <= last; row += MR) tile(g, row, column, panel, MR, nv);
    switch (last - row) {
    case 1: tile(g, row, column, panel, 1, nv); break;
    case 2: tile(g, row, column, panel, 2, nv); break;
    case 3: tile(g, row, column, panel, 3, nv); break;
    case 4: tile(g, row, column, panel, 4, nv); break;
    case 5: tile(g, row, column, panel, 5, nv); break;
#if MR > 6
    case 6: tile(g, row, column, panel, 6, nv); break;
#endif
#if MR > 7
    case 7: tile(g, row, column, panel, 7, nv); break;
#endif
    default: break;
    }
}

void KERNEL(cl_gemm)(const cl_gemm *g) {
    const int64_t depth = g->k * (g->runs > 1 ? g->runs : 1);
    int64_t block = A_BLOCK_BYTES / (int64_t)sizeof(float) / depth / MR * MR;
    if (block < MR) block = MR;
    for (int64_t first = 0; first < g->m; first += block) {
        int64_t last = first + block < g->m ? first + block : g->m;
        const float *panel = g->b;
        for (int64_t column = 0; column < g->n;) {
            int64_t vectors = panel_vectors((g->n - column) / LANES);
            switch (vectors) {
            case 1: panel_rows(g, first, last, column, panel, 1); break;
            case 2: panel_rows(g, first, last, column, panel, 2); break;
#if NV > 2
            case 3: panel_rows(g, first, last, column, panel, 3); break;
#endif
            default: break;
            }
            panel += depth * vectors * LANES;
            column += vectors * LANES;
        }
    }
}
