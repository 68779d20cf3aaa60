/* A table of a few named columns, written as Parquet or CSV. */
#pragma once

#include "table/sheet_column.h"

/* Whether the name of a file ends in `ending`, such as ".csv"; upper and lower case are the same. */
bool cl_sheet_ends_in(const char *path, const char *ending);

/* Writes `rows` rows to `path`, as its name says: .parquet, or .csv (RFC 4180, UTF-8, a header; floats with the digits
 * that give the same float32 again). `recipe` goes into Parquet's key-value metadata under "coulis"; NULL for none. The
 * file appears whole or not at all. COULIS_INVALID_ARGUMENT for another ending. */
coulis_status cl_sheet_write(const char *path, const cl_sheet_column *columns, int32_t column_count, int64_t rows,
                             const char *recipe, coulis_error *error);

/* A float16 (IEEE 754), rounded to the nearest, ties to even; and back. Numbers too large become infinite. */
uint16_t cl_half(float number);
float cl_half_value(uint16_t half);
