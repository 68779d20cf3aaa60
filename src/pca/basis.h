/* Orthonormal sets of rows of floats. */
#pragma once

#include "base/threads.h"

/* Brings each row to length 1, but for those of length 0; squares (count): their squared lengths before. */
void cl_normalise(cl_pool *pool, int64_t count, int64_t cols, float *rows, double *squares);

/* Makes the `*count` rows of `rows` (*count x cols), of length 1 and nearly at right angles to one another, orthonormal
 * to float precision. Row i stays in the span of the rows up to i. A row that lies almost in the span of those before
 * it, and all after it, are given up: *count becomes their number. */
coulis_status cl_orthonormalise(cl_pool *pool, int64_t *count, int64_t cols, float *rows, coulis_error *error);

/* The first `have` of `count` <= cols rows being orthonormal, fills in the others: unit vectors, those
 * farthest from the rows before first, made orthogonal to them (Gram and Schmidt). */
coulis_status cl_complete_basis(int64_t have, int64_t count, int64_t cols, float *rows, coulis_error *error);
