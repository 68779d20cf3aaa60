/* Rows of numbers compared by their cosine.
 *
 * The similarity of two rows is computed in float64 from the numbers as given. The float32 products that decide
 * which pairs are worth that have a proven bound on their error, so they never decide a result. */
#pragma once

#include "base/threads.h"

/* Columns at most: above, the bound on the error of a float32 sum (cl_product_error) is no longer useful. */
#define CL_VECTOR_LENGTH_MAX (1 << 22)

/* Rows of a float32 matrix. The numbers belong to someone else. */
typedef struct cl_vectors {
    const float *x; /* rows x cols */
    int64_t rows, cols;
    const double *squares; /* rows: the sum of the squares of each */
} cl_vectors;

/* The sum of a[i] b[i] in float64, in eight interleaved sums whatever the instruction set, so that every machine
 * gives the same number. */
double cl_dot(const float *a, const float *b, int64_t count);

/* The cosine from the product of two rows and the squares of each. Rows with the same numbers have exactly 1: the
 * square root of a correctly rounded square is the number itself. A row of zeros has similarity 0 with every row. */
double cl_cosine(double product, double a_square, double b_square);

/* squares[i] of `rows` rows, on all threads. COULIS_NUMERIC on NaN or infinity; rows are counted from first_row in
 * the message. */
coulis_status cl_squares(const float *x, int64_t rows, int64_t cols, int64_t first_row, cl_pool *pool, double *squares,
                         coulis_error *error);

/* Rows first .. first+count-1 divided by their lengths, rounded to float32; a row of zeros stays zero. */
void cl_unit_rows(const cl_vectors *vectors, int64_t first, int64_t count, float *out);

/* By how much a float32 sum of the products of two rows of cl_unit_rows differs at most from their cosine. */
double cl_product_error(int64_t cols);

/* The largest float32 that is not above `value`, less one step: comparing float32 numbers with it loses none that is
 * at least `value`. */
float cl_below(double value);
