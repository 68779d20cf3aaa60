/* A symmetric band matrix brought to tridiagonal form by reflections, and the way back for vectors. */
#pragma once

#include "base/threads.h"

/* Brings the band matrix (see band.h) to tridiagonal form: `diagonal` (n) and what is `beside` it (n - 1). The
 * reflectors go below the diagonal of the n x n matrix. */
coulis_status cl_tridiagonal_reduce(cl_pool *pool, int64_t n, double *band, double *matrix, double *diagonal,
                                    double *beside, coulis_error *error);

/* z, n rows of CL_PANEL numbers, a vector in each column: vectors of the tridiagonal matrix become vectors of the
 * band. */
void cl_tridiagonal_turn_back(int64_t n, const double *matrix, double *z);
