/* Blocks of rows of a cl_rows, without a copy when the rows are in memory. */
#pragma once

#include "base/threads.h"
#include "pca/rows.h"

typedef struct cl_memory_rows {
    const float *x;
    int64_t cols;
} cl_memory_rows;

/* The matrix x as a source of rows; `memory` keeps what the source needs and must outlive it. */
cl_rows cl_rows_of_memory(cl_memory_rows *memory, const float *x, int64_t rows, int64_t cols);

bool cl_rows_in_memory(const cl_rows *rows);

/* Rows first .. first+count-1 into *block: in memory as they lie, else read into `buffer`. */
coulis_status cl_rows_block(const cl_rows *rows, int64_t first, int64_t count, float *buffer, const float **block,
                            coulis_error *error);

/* Tells the caller's progress function; COULIS_INTERRUPTED when it wants to stop. */
coulis_status cl_rows_progress(const cl_rows *rows, int64_t done, int64_t total, coulis_error *error);

/* Statistics of each column of a block: sum, lowest, highest. COULIS_NUMERIC names the first element that
 * is not finite, `first` being the number of the block's first row. The three arrays are overwritten. */
coulis_status cl_column_stats(cl_pool *pool, const float *x, int64_t first, int64_t count, int64_t cols, double *sum,
                              float *low, float *high, coulis_error *error);

/* A power of two that brings every x - mean into -1 .. 1, so that float products of them neither
 * overflow nor vanish, whatever the unit of the data. */
double cl_centred_scale(const float *low, const float *high, int64_t cols);
