/* A column of a table that is written as Parquet or CSV. */
#pragma once

#include "base/base.h"

typedef enum cl_sheet_kind {
    CL_SHEET_TEXT,   /* const char *const *; NULL is null */
    CL_SHEET_INT64,  /* int64_t */
    CL_SHEET_FLOAT,  /* float; NaN is null */
    CL_SHEET_BOOL,   /* uint8_t, 0 or 1 */
    CL_SHEET_VECTOR, /* float, rows x length: list<float>, or a CSV column for each dimension */
    CL_SHEET_HALVES  /* uint16_t, rows x length: the same of float16 */
} cl_sheet_kind;

typedef struct cl_sheet_column {
    const char *name;
    cl_sheet_kind kind;
    const void *values;
    int64_t length; /* dimensions of a vector */
    int32_t fixed;  /* not 0: Arrow is told that vectors are lists of a fixed size */
} cl_sheet_column;
