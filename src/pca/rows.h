/* A matrix that is read in blocks of rows, from memory or from disk. */
#pragma once

#include "base/base.h"

typedef struct cl_rows {
    void *context;
    int64_t rows, cols;
    /* Copies rows first .. first+count-1 to `out` (count x cols). May be called again for
     * rows that were read before. */
    coulis_status (*read)(void *context, int64_t first, int64_t count, float *out, coulis_error *error);
    /* Not 0 to stop with COULIS_INTERRUPTED; may be NULL. `done` of `total` rows. */
    int32_t (*progress)(void *context, int64_t done, int64_t total);
    void *progress_context;
} cl_rows;
