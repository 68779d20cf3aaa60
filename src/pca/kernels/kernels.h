/* The inner loops of principal component analysis: one table per instruction set. */
#ifndef CL_PCA_KERNELS_KERNELS_H
#define CL_PCA_KERNELS_KERNELS_H

#include <stdint.h>

#include "cpu/cpu.h"

typedef struct cl_pca_kernels {
    /* out[i * out_stride + j] += factor * (a_i . b_j), for i < m and j < n: all scalar products of two sets
     * of rows of k floats, in runs of 64 float terms for each lane of a register; the lanes of a run are added up in
     * float, the runs in double. The order does not depend on m, n, i or j. k of some 1,024 keeps a tile's rows in
     * the cache. */
    void (*dot)(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
                double factor, double *out, int64_t out_stride);

    /* Adds the rows of x to sum (cols) and widens low and high (cols) to hold them. A NaN shows in sum. */
    void (*column_stats)(int64_t rows, int64_t cols, const float *x, int64_t x_stride, double *sum, float *low,
                         float *high);

    /* out[r * out_stride + c] = (x[r * x_stride + c] - mean[c]) * scale, rounded once to float. */
    void (*centre)(int64_t rows, int64_t cols, const float *x, int64_t x_stride, const double *mean, double scale,
                   float *out, int64_t out_stride);

    /* The same with out[c * out_stride + r]. */
    void (*centre_transposed)(int64_t rows, int64_t cols, const float *x, int64_t x_stride, const double *mean,
                              double scale, float *out, int64_t out_stride);
} cl_pca_kernels;

/* The table for one instruction set; NULL when this processor does not have it. */
const cl_pca_kernels *cl_pca_kernels_for(cl_cpu_level level);

/* The table for this processor. */
const cl_pca_kernels *cl_pca_kernels_get(void);

#endif
