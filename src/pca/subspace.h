/* An orthonormal set of rows of floats that grows. */
#pragma once

#include "base/threads.h"

typedef struct cl_subspace {
    cl_pool *pool;
    int64_t cols, count;
    float *rows;    /* count x cols */
    double largest; /* length of the longest row that was ever offered */
} cl_subspace;

/* Takes up `count` more rows, made orthogonal to those that are there and to one another (Gram and Schmidt, twice). A
 * row of which next to nothing is left is not taken up. */
coulis_status cl_subspace_extend(cl_subspace *space, int64_t count, const float *rows, coulis_error *error);
void cl_subspace_free(cl_subspace *space);

/* out (count x n) = rows (count x cols) times n rows of the set, from row `first` on. */
void cl_subspace_products(const cl_subspace *space, int64_t first, int64_t n, int64_t count, const float *rows,
                          double *out);

/* rows (count x cols) = weights (count x n) times the first n rows of the set. */
coulis_status cl_subspace_combine(const cl_subspace *space, int64_t n, int64_t count, const float *weights, float *rows,
                                  coulis_error *error);
