/* Sums over a span of rows: what one reading of them gives block Krylov. A span is a fixed number of blocks of rows, so
 * that spans can be read on different machines: the sums over all rows are those of the spans, in their order. */
#pragma once

#include "base/threads.h"

/* Blocks of a span: one sum for each GiB of rows, or so. */
#define CL_SPAN_BLOCKS 16

/* Rows of a block: as many as a run of float sums takes, as long as they are at most 64 MiB. */
int64_t cl_span_block_rows(int64_t cols);

/* As coulis_span_create, with the caller's pool; `measure`: the squares, too. */
coulis_status cl_span_open(cl_pool *pool, int64_t cols, const double *mean, double scale, const float *vectors,
                           int64_t count, bool measure, coulis_span **span, coulis_error *error);

/* Adds one whole block, or the last of all; `first` is the number of its first row, for messages. */
coulis_status cl_span_block(coulis_span *span, const float *x, int64_t first, int64_t rows, coulis_error *error);

/* Adds the statistics of the span to those of the spans before it, which it overwrites when it is the first, and begins
 * anew. */
void cl_span_fold_statistics(coulis_span *span, bool is_first, double *sums, float *lowest, float *highest);
/* The same of the products; squares may be NULL. */
void cl_span_fold_products(coulis_span *span, double *products, double *squares);
