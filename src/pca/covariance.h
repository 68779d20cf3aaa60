/* The sums behind a covariance matrix: rows to mean and centred products, and the merging of two such.
 *
 * A triangle is the upper one of a symmetric cols x cols matrix, packed by rows: cols numbers of row 0, cols - 1 of
 * row 1, and so on. */
#pragma once

#include "base/threads.h"

/* Rows that are centred together. */
#define CL_COVARIANCE_BLOCK 1024

typedef struct cl_covariance cl_covariance;

/* Up to so many columns all products are of float64: there they cost little, and variances can be told from rounding
 * further down. Above, where they are most of the work of a fit, those of a block are of float32, unless that comes
 * out rough. */
#define CL_COVARIANCE_DOUBLE 512
/* What is less than this share of the largest eigenvalue is 0. The greatest noise seen, a negative eigenvalue, is
 * 1.5e-8 where products may be of float32, and 1e-15 where all are of float64. */
#define CL_COVARIANCE_ZERO 5.9604644775390625e-8        /* 2^-24 */
#define CL_COVARIANCE_ZERO_DOUBLE 9.094947017729282e-13 /* 2^-40 */

typedef struct cl_sums {
    int64_t rows;
    double *mean;     /* cols */
    double *triangle; /* of the sum over the rows of (x - mean)(x - mean)^T */
} cl_sums;

/* Scratch memory for rows of `cols` numbers. */
coulis_status cl_covariance_open(int64_t cols, cl_pool *pool, cl_covariance **covariance, coulis_error *error);
void cl_covariance_close(cl_covariance *covariance);

/* Fills `sums`, whose arrays are there, with those of `rows` rows. `first` is the number of the first one, for the
 * message about a number that is not finite. */
coulis_status cl_covariance_sum(cl_covariance *covariance, const float *x, int64_t first, int64_t rows, cl_sums *sums,
                                coulis_error *error);

/* The rows join those that `left` has the sums of: to the last bit what their own sums and cl_covariance_merge would
 * make of it. On failure `left` is as it was. */
coulis_status cl_covariance_join(cl_covariance *covariance, const float *x, int64_t first, int64_t rows, cl_sums *left,
                                 coulis_error *error);

/* Numbers in a triangle, and the place in it of element (row, row). */
int64_t cl_triangle_size(int64_t cols);
int64_t cl_triangle_row(int64_t cols, int64_t row);

/* The sums of two sets of rows become those of both in `out`, which has memory of its own or that of one of them. */
void cl_covariance_merge(cl_pool *pool, int64_t cols, const cl_sums *left, const cl_sums *right, cl_sums *out);
