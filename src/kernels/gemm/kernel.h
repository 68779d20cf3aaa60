/* Matrix product with everything that follows a convolution fused into the store.
 * README.md beside this file has the layout and the reasons for the constants. */
#include "kernels/gemm/panels.h"
#include "kernels/gemm/sparse.h"

void KERNEL(cl_gemm)(const cl_gemm *gemm);
void KERNEL(cl_activate_rows)(const cl_activation *activation, int64_t rows, int64_t count, int64_t stride,
                              float *data);

/* The sums of a tile: `full` registers for each row and, with `half`, half a register more. */
typedef struct sums {
    vf full[MR][WIDE];
    vh half[MR];
} sums;

/* One row of B times a number of each row of A; returns the next row of B. mr, full and half are constants after
 * inlining, so that the sums are registers. */
CL_INLINE const float *step(const float *const a[MR], int64_t k, const float *panel, sums *sum, const int mr,
                            const int full, const int half) {
    const int width = full * LANES + half * HALF_LANES;
    vf b[WIDE];
    vh tail = vh_zero();
    CL_UNROLL
    for (int j = 0; j < full; j++) b[j] = vf_load(panel + j * LANES);
    if (half) tail = vh_load(panel + full * LANES);
    CL_UNROLL
    for (int i = 0; i < mr; i++) {
        const vf x = vf_set1(a[i][k]);
        CL_UNROLL
        for (int j = 0; j < full; j++) sum->full[i][j] = vf_fma(x, b[j], sum->full[i][j]);
        if (half) sum->half[i] = vh_fma(vf_lower(x), tail, sum->half[i]);
    }
    return panel + width;
}

/* Numbers of a row of A that are asked for at a time: a line; and the depth from which on this pays for its loop. */
#define AHEAD 16
#define AHEAD_DEPTH 128

/* One tile: mr rows of A times a panel of `full` vectors and, with `half`, half of one. */
CL_INLINE void tile(const cl_gemm *g, int64_t row, int64_t column, const float *panel, const int mr, const int full,
                    const int half) {
    const int nv = full + half;
    /* For all the compiler knows a store could change g: what is needed after one is read before. */
    const int64_t depth = g->k, runs = g->runs, a_stride = g->a_stride, c_stride = g->c_stride;
    const int64_t residual_stride = g->residual_stride;
    float *c = g->c + row * c_stride + column;
    const float *r = g->residual ? g->residual + row * residual_stride + column : NULL;
    sums sum;
    const float *a[MR];
    CL_UNROLL
    for (int i = 0; i < mr; i++) {
        CL_UNROLL
        for (int j = 0; j < full; j++) sum.full[i][j] = g->bias ? vf_load(g->bias + column + j * LANES) : vf_zero();
        sum.half[i] = half && g->bias ? vh_load(g->bias + column + full * LANES) : vh_zero();
        a[i] = i == 0 ? g->a + row * a_stride : a[i - 1] + a_stride;
    }
    /* The first panel is the first to read a block of A: each of its tiles asks for the rows of the next. */
    const int64_t ahead = column == 0 ? mr * a_stride : 0;
    int64_t k = 0;
    /* A line at each step, as many requests at once would hold up the loads of B; not where the whole sum is short. */
    if (depth >= MR * NV || (runs > 1 && depth >= MR)) {
        for (int i = 0; i < mr && k + NV <= depth; i++)
            for (int j = 0; j < nv; j += PREFETCH_STEP, k++) {
                ask_for_line(c + i * c_stride + j * LANES, r ? r + i * residual_stride + j * LANES : NULL);
                panel = step(a, k, panel, &sum, mr, full, half);
            }
    }
    for (int64_t run = 0, first = 0;; k = first += g->run_stride) {
        const int64_t last = first + depth;
        for (; depth > AHEAD_DEPTH && k + AHEAD <= last; k += AHEAD) {
            CL_UNROLL
            for (int i = 0; i < mr; i++) __builtin_prefetch(a[i] + ahead + k);
            for (int64_t t = k; t < k + AHEAD; t++) panel = step(a, t, panel, &sum, mr, full, half);
        }
        for (; k < last; k++) panel = step(a, k, panel, &sum, mr, full, half);
        if (++run >= runs) break;
    }
    const vf low = vf_set1(g->low), high = vf_set1(g->high);
    CL_UNROLL
    for (int i = 0; i < mr; i++) {
        CL_UNROLL
        for (int j = 0; j < nv; j++) {
            vf value = j < full ? sum.full[i][j] : vf_of_lower(sum.half[i]);
            if (r) value = vf_add(value, vf_load(r + j * LANES));
            vf_store(c + j * LANES, vf_clamp(value, low, high));
        }
        c += c_stride;
        if (r) r += residual_stride;
    }
}

/* Rows of a last tile at most: two such take MR + 2 rows. */
#define TAIL_ROWS 5

/* All rows first .. last-1 against one panel, mr at a time. */
CL_INLINE void panel_rows(const cl_gemm *g, int64_t first, int64_t last, int64_t column, const float *panel,
                          const int mr, const int full, const int half) {
    /* One or two rows by themselves are too few sums to hide the latency of a multiply-add: they share the last mr. */
    const int64_t rows = last - first, tail = rows % mr, highest = mr < TAIL_ROWS ? mr : TAIL_ROWS;
    int64_t left = tail > 0 && tail <= 2 && rows > mr ? tail + mr : tail, row = first;
    for (; row < last - left; row += mr) tile(g, row, column, panel, mr, full, half);
    for (int64_t height; left > 0; left -= height, row += height) {
        height = left <= highest ? left : (left + 1) / 2;
        switch (height) {
        case 1: tile(g, row, column, panel, 1, full, half); break;
        case 2: tile(g, row, column, panel, 2, full, half); break;
        case 3: tile(g, row, column, panel, 3, full, half); break;
        case 4: tile(g, row, column, panel, 4, full, half); break;
        default: tile(g, row, column, panel, mr < TAIL_ROWS ? mr : TAIL_ROWS, full, half); break;
        }
    }
}

#define PANEL_ROWS(full, half)                                                                                         \
    CL_VERSION panel_rows_##full##half(const cl_gemm *g, int64_t first, int64_t last, int64_t column,                  \
                                       const float *panel) {                                                           \
        panel_rows(g, first, last, column, panel, full <= NV ? MR : WIDE_MR, full, half);                              \
    }
#if HALF_LANES > 0
PANEL_ROWS(0, 1)
PANEL_ROWS(1, 1)
PANEL_ROWS(2, 1)
#endif
PANEL_ROWS(1, 0)
PANEL_ROWS(2, 0)
PANEL_ROWS(3, 0)
#undef PANEL_ROWS

void KERNEL(cl_gemm)(const cl_gemm *g) {
    if (is_sparse(g)) {
        sparse_gemm(g);
        if (g->activation) KERNEL(cl_activate_rows)(g->activation, g->m, padded_columns(g->columns), g->c_stride, g->c);
        return;
    }
    const int64_t depth = g->k * (g->runs > 1 ? g->runs : 1), n = padded_columns(g->columns);
    const int half = half_used(n, g->columns);
    int64_t block = A_BLOCK_BYTES / (int64_t)sizeof(float) / depth / MR * MR;
    if (block < MR) block = MR;
    for (int64_t first = 0; first < g->m; first += block) {
        int64_t last = first + block < g->m ? first + block : g->m;
        const float *panel = g->b;
        for (int64_t column = 0; column < n;) {
            const int64_t vectors = is_wide(n) ? WIDE : panel_vectors((n - column) / LANES);
            const int64_t next = column + vectors * LANES;
            /* The number of whole vectors, and whether half a vector follows. */
            switch (2 * vectors - (half && next == n)) {
#if HALF_LANES > 0
            case 1: panel_rows_01(g, first, last, column, panel); break;
            case 3: panel_rows_11(g, first, last, column, panel); break;
            case 5: panel_rows_21(g, first, last, column, panel); break;
#endif
            case 2: panel_rows_10(g, first, last, column, panel); break;
            case 4: panel_rows_20(g, first, last, column, panel); break;
            case 6: panel_rows_30(g, first, last, column, panel); break;
            default: break;
            }
            /* What a panel has stored of a block is still in the first-level cache. */
            if (g->activation)
                KERNEL(cl_activate_rows)(g->activation, last - first, vectors * LANES, g->c_stride,
                                         g->c + first * g->c_stride + column);
            panel += depth * vectors * LANES;
            column = next;
        }
    }
}
