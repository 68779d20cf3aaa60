/* A dense symmetric matrix brought to band form by reflections, and the way back for vectors.
 *
 * Half of the work of bringing a matrix straight to tridiagonal form is products with single vectors, each of which
 * reads the whole matrix. On the way over a band everything is a product with a panel of CL_PANEL vectors. */
#pragma once

#include "base/threads.h"

/* Numbers of a band matrix of n rows: see CL_BAND_STRIDE. */
int64_t cl_band_size(int64_t n);
/* Numbers that cl_band_reduce leaves in `triangles`. */
int64_t cl_band_triangles_size(int64_t n);

/* Brings the symmetric n x n matrix, of which the upper triangle (row-major) is read, to a band of CL_PANEL numbers on
 * each side of the diagonal. The reflectors stay above the matrix's diagonal and in `triangles`; what is below the
 * diagonal is free afterwards. No element may be larger than 1. */
coulis_status cl_band_reduce(cl_pool *pool, int64_t n, double *matrix, double *triangles, double *band,
                             coulis_error *error);

/* z, n rows of CL_PANEL numbers, a vector in each column: vectors of the band become vectors of the matrix.
 * `scratch`: n rows of CL_PANEL numbers. */
void cl_band_turn_back(int64_t n, const double *matrix, const double *triangles, double *scratch, double *z);
