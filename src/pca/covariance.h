/* The covariance matrix of the columns, for data with at least as many rows as columns. */
#ifndef CL_PCA_COVARIANCE_H
#define CL_PCA_COVARIANCE_H

#include "base/threads.h"
#include "pca/rows.h"

/* The sum over the rows of (x - mean)(x - mean)^T, in one pass over them: fills mean (cols) and the upper
 * triangle of matrix (cols x cols); the lower one is not meant to be read. */
coulis_status cl_covariance(const cl_rows *rows, cl_pool *pool, double *mean, double *matrix, coulis_error *error);

#endif
