/* Products of the columns of a block of rows that lie in slabs: CL_SLAB columns side by side, row after row. */
#include "kernels/vector.h"
#include "pca/kernels/kernels.h"

/* A tile of HIGH columns on one side by WIDE registers on the other: HIGH * WIDE sums in registers, and a step loads
 * WIDE registers and HIGH single numbers. HIGH divides CL_SLAB, WIDE * LANES divides CL_SIDE_STEP. */
#if REGISTERS == 32
#define HIGH 8
#else
#define HIGH 4
#endif
#define WIDE 3
/* Rows of the next columns that are fetched with each tile: the run of 64 within 11 tiles of 8 columns. */
#define AHEAD 6

CL_INLINE const float *slab_column(const float *slabs, int64_t stride, int64_t column) {
    return slabs + column / CL_SLAB * stride + column % CL_SLAB;
}

/* out += factor * what is in the lanes */
CL_INLINE void add_lanes_to(double *out, vf sum, vd factor) {
    vd_store(out, vd_fma(factor, vd_lower(sum), vd_load(out)));
    vd_store(out + DOUBLES, vd_fma(factor, vd_upper(sum), vd_load(out + DOUBLES)));
}

CL_INLINE void slab_tile(int64_t k, const float *a, const float *const *b, double factor, double *out,
                         int64_t out_stride) {
    vf sums[HIGH][WIDE];
    CL_UNROLL
    for (int i = 0; i < HIGH; i++) CL_UNROLL
    for (int j = 0; j < WIDE; j++) sums[i][j] = vf_zero();
    const float *b0 = b[0], *b1 = b[1], *b2 = b[2];
    for (int64_t t = 0; t < k; t++) {
        vf right[WIDE] = {vf_load(b0 + t * CL_SLAB), vf_load(b1 + t * CL_SLAB), vf_load(b2 + t * CL_SLAB)};
        CL_UNROLL
        for (int i = 0; i < HIGH; i++) {
            vf left = vf_set1(a[t * CL_SLAB + i]);
            CL_UNROLL
            for (int j = 0; j < WIDE; j++) sums[i][j] = vf_fma(left, right[j], sums[i][j]);
        }
    }
    const vd factors = vd_set1(factor);
    CL_UNROLL
    for (int i = 0; i < HIGH; i++) CL_UNROLL
    for (int j = 0; j < WIDE; j++) add_lanes_to(out + i * out_stride + j * LANES, sums[i][j], factors);
}

static void KERNEL(slab_products)(int64_t m, int64_t n, int64_t k, const float *a, const float *b, int64_t stride,
                                  double factor, double *out, int64_t out_stride) {
    const int symmetric = a == b;
    for (int64_t first = 0; first < k; first += TERMS) {
        const int64_t terms = k - first < TERMS ? k - first : TERMS;
        for (int64_t j = 0; j < n; j += WIDE * LANES) {
            /* The next columns, or the first ones' next run, are fetched meanwhile: most often they are not in the
             * first-level cache, at first not even in the second. */
            const float *columns[WIDE], *next[WIDE];
            const int last = j + WIDE * LANES >= n;
            const int64_t after = last ? 0 : j + WIDE * LANES, row = last && first + terms < k ? first + terms : first;
            for (int w = 0; w < WIDE; w++) {
                columns[w] = slab_column(b, stride, j + w * LANES) + first * CL_SLAB;
                next[w] = slab_column(b, stride, after + w * LANES) + row * CL_SLAB;
            }
            for (int64_t i = 0, t = 0; i < m && (!symmetric || i < j + WIDE * LANES); i += HIGH) {
                for (int64_t end = t + AHEAD; t < end && t < TERMS; t++)
                    for (int w = 0; w < WIDE; w++) __builtin_prefetch(next[w] + t * CL_SLAB);
                slab_tile(terms, slab_column(a, stride, i) + first * CL_SLAB, columns, factor, out + i * out_stride + j,
                          out_stride);
            }
        }
    }
}

static double KERNEL(slab_squares)(int64_t k, const float *slab, double *roughness) {
    vd squares[CL_SLAB / DOUBLES], rough[CL_SLAB / DOUBLES];
    const vd one = vd_set1(1);
    for (int i = 0; i < CL_SLAB / DOUBLES; i++) squares[i] = rough[i] = vd_zero();
    for (int64_t first = 0; first < k; first += TERMS) {
        const int64_t end = k - first < TERMS ? k : first + TERMS;
        for (int i = 0; i < CL_SLAB / LANES; i++) {
            vf sum = vf_zero();
            vd low = squares[2 * i], high = squares[2 * i + 1];
            for (int64_t t = first; t < end; t++) {
                vf x = vf_load(slab + t * CL_SLAB + i * LANES);
                vd lower = vd_lower(x), upper = vd_upper(x);
                sum = vf_fma(x, x, sum);
                low = vd_fma(lower, lower, low);
                high = vd_fma(upper, upper, high);
            }
            squares[2 * i] = low;
            squares[2 * i + 1] = high;
            rough[2 * i] = vd_fma(one, vd_lower(sum), rough[2 * i]);
            rough[2 * i + 1] = vd_fma(one, vd_upper(sum), rough[2 * i + 1]);
        }
    }
    double total = 0, exact[CL_SLAB], floats[CL_SLAB];
    for (int i = 0; i < CL_SLAB / DOUBLES; i++) {
        vd_store(exact + i * DOUBLES, squares[i]);
        vd_store(floats + i * DOUBLES, rough[i]);
    }
    *roughness = 0;
    for (int i = 0; i < CL_SLAB; i++) {
        total += exact[i];
        *roughness += fabs(floats[i] - exact[i]);
    }
    return total;
}

static void KERNEL(centre_slab)(int64_t rows, int64_t cols, const float *x, int64_t x_stride, const double *mean,
                                double scale, float *out) {
    if (cols >= CL_SLAB) {
        for (int64_t r = 0; r < rows; r++, x += x_stride, out += CL_SLAB)
            for (int i = 0; i < CL_SLAB; i++) out[i] = (float)(((double)x[i] - mean[i]) * scale);
        return;
    }
    memset(out, 0, (size_t)(rows * CL_SLAB) * sizeof *out);
    for (int64_t r = 0; r < rows; r++, x += x_stride, out += CL_SLAB)
        for (int64_t i = 0; i < cols; i++) out[i] = (float)(((double)x[i] - mean[i]) * scale);
}
