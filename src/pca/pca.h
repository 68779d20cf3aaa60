/* Principal component analysis of rows that need not fit in memory. */
#pragma once

#include "base/threads.h"
#include "pca/rows.h"

/* The exact solvers hold a matrix in memory that is as wide as the rows are many, or the columns: 2 GiB. */
#define CL_SIDE_MAX 16384

/* coulis_pca_fit over a source of rows; the threads are those of the pool. */
coulis_status cl_pca_fit(const cl_rows *rows, const coulis_pca_options *options, cl_pool *pool, coulis_pca **pca,
                         coulis_error *error);

/* coulis_pca_transform of a block of rows with a pool that exists. */
coulis_status cl_pca_transform(const coulis_pca *pca, const float *x, int64_t rows, cl_pool *pool, float *scores,
                               coulis_error *error);
