/* The product of the centred rows with themselves, (X - m)^T (X - m), applied to a few vectors by one reading of the
 * rows, without ever being there as a matrix. */
#pragma once

#include "base/threads.h"
#include "pca/rows.h"

typedef struct cl_product cl_product;

/* Reads all rows once for the mean of each column: `rows`, or where they are elsewhere `spans`; the other is NULL. What
 * is given and `pool` must outlive the result. */
coulis_status cl_product_open(const cl_rows *rows, const coulis_spans *spans, cl_pool *pool, cl_product **product,
                              coulis_error *error);
void cl_product_close(cl_product *product);

const double *cl_product_mean(const cl_product *product); /* cols */

/* The trace of the matrix, measured in float64 by the first call of cl_product_apply. */
double cl_product_trace(const cl_product *product);

/* Reads all rows once: out (count x cols) = vectors (count x cols) times the matrix. Products are summed as everywhere,
 * in float over short runs and in float64 beyond. */
coulis_status cl_product_apply(cl_product *product, int64_t count, const float *vectors, double *out,
                               coulis_error *error);
