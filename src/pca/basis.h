/* Orthonormal sets of rows of floats. */
#ifndef CL_PCA_BASIS_H
#define CL_PCA_BASIS_H

#include "base/threads.h"

/* Makes the `count` rows of `rows` (count x cols), nearly at right angles to one another and of any length
 * but 0, orthonormal to float precision. Row i stays in the span of the rows up to i. */
coulis_status cl_orthonormalise(cl_pool *pool, int64_t count, int64_t cols, float *rows, coulis_error *error);

/* The first `have` of `count` <= cols rows being orthonormal, fills in the others: unit vectors, those
 * farthest from the rows before first, made orthogonal to them (Gram and Schmidt). */
coulis_status cl_complete_basis(int64_t have, int64_t count, int64_t cols, float *rows, coulis_error *error);

#endif
