/* NumPy's file of one array (format version 1.0, NEP 1). */
#pragma once

#include "base/base.h"

/* Writes a rows x cols matrix of float32, or of float16 when `halves` is not NULL (then `x` is not read),
 * little-endian. The file appears whole or not at all. */
coulis_status cl_npy_write(const char *path, const float *x, const uint16_t *halves, int64_t rows, int64_t cols,
                           coulis_error *error);
