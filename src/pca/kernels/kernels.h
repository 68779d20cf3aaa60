/* The inner loops of principal component analysis: one table per instruction set. */
#pragma once

#include <stdint.h>

#include "cpu/cpu.h"

typedef struct cl_pca_kernels {
    /* out[i * out_stride + j] += factor * (a_i . b_j), for i < m and j < n: all scalar products of two sets
     * of rows of k floats, in runs of 64 float terms for each lane of a register; the lanes of a run are added up in
     * float, the runs in double. The order does not depend on m, n, i or j. k of some 1,024 keeps a tile's rows in
     * the cache. */
    void (*dot)(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
                double factor, double *out, int64_t out_stride);

    /* out[i * out_stride + j] += the sum over t < k of a[i * a_stride + t] * b[t * b_stride + j], for i < m and j < n:
     * sums of rows of b, in runs of 64 float terms, the runs added up in double. The order does not depend on m, n, i
     * or j. Rows of b are read up to a multiple of 64 floats; few enough of them stay in the first-level cache. */
    void (*combine)(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
                    double *out, int64_t out_stride);

    /* ---- the covariance, in float, of columns that lie in slabs ---- */

    /* The first CL_SLAB columns of x, centred: out[r * CL_SLAB + c] = (x[r * x_stride + c] - mean[c]) * scale, rounded
     * once; 0 where x has fewer. */
    void (*centre_slab)(int64_t rows, int64_t cols, const float *x, int64_t x_stride, const double *mean, double scale,
                        float *out);
    /* out[i * out_stride + j] += factor * the sum over t < k of a[t][i] * b[t][j], for i < m and j < n, in runs of 64
     * float terms, the runs added up in double. The order does not depend on m, n, i or j. a and b begin with a slab;
     * where they are the same, what is below the diagonal may be left out. n is taken up to a multiple of
     * CL_SIDE_STEP and m to one of CL_SLAB, for which there must be slabs and room. */
    void (*slab_products)(int64_t m, int64_t n, int64_t k, const float *a, const float *b, int64_t stride,
                          double factor, double *out, int64_t out_stride);
    /* The sum of the squares of a slab's k rows, in double; and in *roughness how far each column's, summed as
     * slab_products does, is from it, added up. */
    double (*slab_squares)(int64_t k, const float *slab, double *roughness);

    /* Adds the rows of x to sum (cols) and widens low and high (cols) to hold them. A NaN shows in sum. */
    void (*column_stats)(int64_t rows, int64_t cols, const float *x, int64_t x_stride, double *sum, float *low,
                         float *high);

    /* out[r * out_stride + c] = (x[r * x_stride + c] - mean[c]) * scale, rounded once to float. */
    void (*centre)(int64_t rows, int64_t cols, const float *x, int64_t x_stride, const double *mean, double scale,
                   float *out, int64_t out_stride);

    /* The same with out[c * out_stride + r]. */
    void (*centre_transposed)(int64_t rows, int64_t cols, const float *x, int64_t x_stride, const double *mean,
                              double scale, float *out, int64_t out_stride);

    /* ---- the eigenproblem, in double ---- */

    /* c[i * c_stride + j] += the sum over t < k of a[i * a_row + t * a_step] * b[t * CL_PANEL + j], for i < m and
     * j < width, width at most CL_PANEL. Each is summed from t = 0 on, in one lane. */
    void (*multiply)(int64_t m, int64_t width, int64_t k, const double *a, int64_t a_row, int64_t a_step,
                     const double *b, double *c, int64_t c_stride);
    /* The scalar product of two rows; y += factor * x. */
    double (*row_dot)(int64_t n, const double *x, const double *y);
    void (*row_add)(int64_t n, double factor, const double *x, double *y);

    /* Makes of x, CL_PANEL numbers, the reflector H = I - tau v v^T (v[0] = 1) with H x = beta e0, v in place of x,
     * and returns tau; 0 where x is a multiple of e0 already. */
    double (*reflector)(double *x, double *beta);
    /* One step down the band: D := H D H and B := G B H, where H = I - tau v v^T and G, the reflector that brings the
     * first column of B to a multiple of e0, is put into `next`; returns G's tau. D and B are CL_PANEL x CL_PANEL by
     * columns, CL_BAND_STRIDE apart; B lies right below D. D is symmetric, but its last column is yet to be copied
     * from its last row. */
    double (*chase)(double *d, const double *v, double tau, double *next);
    /* z := H z for `rows` rows of CL_PANEL numbers; v[0], which would be 1, holds tau. */
    void (*reflect)(int64_t rows, const double *v, double *z);
} cl_pca_kernels;

/* Columns of a slab: a row of one fills a cache line. */
#define CL_SLAB 16
/* Columns that every tile's width divides. */
#define CL_SIDE_STEP 48

/* Width of the band to which a symmetric matrix is brought first, and of the panels of numbers that are multiplied
 * at a time: a row of one fills four registers of AVX-512. */
#define CL_PANEL 32
/* Element (i, c) of the band matrix is number CL_PANEL + i + c * CL_BAND_STRIDE: room for i - c from -31 to 63. */
#define CL_BAND_STRIDE 96
/* Where the squares of a column add up to less, they have lost digits or vanished; the column is 0 then, as the matrix
 * is scaled to 1. */
#define CL_VANISHED 1e-276 /* the least normal number, divided by the square of the precision */

/* The table for one instruction set; NULL when this processor does not have it. */
const cl_pca_kernels *cl_pca_kernels_for(cl_cpu_level level);

/* The table for this processor. */
const cl_pca_kernels *cl_pca_kernels_get(void);
