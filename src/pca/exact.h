/* From a matrix that is held in memory to principal components. */
#pragma once

#include "pca/gram.h"

typedef struct cl_exact {
    int64_t rows, cols;
    double components; /* as asked */
    cl_pool *pool;
    double *matrix;     /* side x side, of which the upper triangle is read; overwritten */
    int64_t side;       /* cols; rows for a Gram matrix */
    const double *mean; /* cols */
    cl_gram *gram;      /* NULL when the matrix is the covariance */
} cl_exact;

coulis_status cl_exact_solve(const cl_exact *exact, coulis_pca **pca, coulis_error *error);
