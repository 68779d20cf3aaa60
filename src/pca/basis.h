/* Products and sums of rows of floats, and orthonormal sets of them. */
#pragma once

#include "base/threads.h"

double cl_row_product(const float *a, const float *b, int64_t cols);

/* out (a_count x b_count): the products of rows of a and b. Of a set with itself only the upper triangle is made. */
void cl_row_products(cl_pool *pool, int64_t cols, const float *a, int64_t a_count, const float *b, int64_t b_count,
                     double *out);

typedef enum cl_combine { CL_COMBINE_SET, CL_COMBINE_ADD, CL_COMBINE_SUBTRACT } cl_combine;

/* What becomes of `rows` (count x cols) by weights (count x n) times `from` (n x cols), which may be the same rows. */
coulis_status cl_row_combine(cl_pool *pool, int64_t cols, const float *from, int64_t n, const float *weights,
                             int64_t count, cl_combine how, float *rows, coulis_error *error);

/* Brings each row to length 1, but for those of length 0; squares (count): their squared lengths before. */
void cl_normalise(cl_pool *pool, int64_t count, int64_t cols, float *rows, double *squares);

/* Makes the `*count` rows of `rows` (*count x cols), of length 1 and nearly at right angles to one another, orthonormal
 * to float precision. Row i stays in the span of the rows up to i. A row that lies almost in the span of those before
 * it, and all after it, are given up: *count becomes their number. */
coulis_status cl_orthonormalise(cl_pool *pool, int64_t *count, int64_t cols, float *rows, coulis_error *error);

/* The first `have` of `count` <= cols rows being orthonormal, fills in the others: unit vectors, those
 * farthest from the rows before first, made orthogonal to them (Gram and Schmidt). */
coulis_status cl_complete_basis(int64_t have, int64_t count, int64_t cols, float *rows, coulis_error *error);
