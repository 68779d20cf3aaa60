/* The schema of a Parquet file as Arrow has it, from which readers built on Arrow take what Parquet cannot say: that
 * lists have a fixed size. */
#pragma once

#include "table/sheet_column.h"

/* The key in Parquet's key-value metadata. */
#define CL_ARROW_KEY "ARROW:schema"

/* Its value: an encapsulated message of Arrow's IPC format, version 5, in base64; columns of vectors are fixed-size
 * lists. NULL when memory is short; released with cl_free. */
char *cl_arrow_schema(const cl_sheet_column *columns, int32_t count);
