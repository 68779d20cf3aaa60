/* The Gram matrix of the rows, for data with more columns than rows, and the way back from its
 * eigenvectors to the components. */
#pragma once

#include "base/threads.h"
#include "pca/rows.h"

typedef struct cl_gram cl_gram;

/* Reads all rows once for the mean of each column; keeps them when they are few enough. `rows` and `pool` must
 * outlive the result. */
coulis_status cl_gram_open(const cl_rows *rows, cl_pool *pool, cl_gram **gram, coulis_error *error);
void cl_gram_close(cl_gram *gram);

const double *cl_gram_mean(const cl_gram *gram); /* cols */

/* Products of the centred rows with one another: fills the upper triangle of matrix (rows x rows); the
 * lower one is not meant to be read. */
coulis_status cl_gram_matrix(cl_gram *gram, double *matrix, coulis_error *error);

/* components (count x cols) = vectors (count x rows) times the centred rows, each then brought to length 1;
 * squares (count): their squared lengths before, the eigenvalues found again. */
coulis_status cl_gram_components(cl_gram *gram, int64_t count, const double *vectors, float *components,
                                 double *squares, coulis_error *error);
