/* The further text columns of a part, as they are read: they come from where the images did. */
#pragma once

#include <carquet/carquet.h>

#include "table/part.h"

typedef struct cl_extra_columns {
    char **names;
    int32_t *leaves, count;
    /* Of the row group read last. */
    char **texts;        /* of each column, one after the other */
    const char **values; /* of each row, `count` of them */
} cl_extra_columns;

/* Finds the columns of texts that are none of the table's own; `vector` names the column of vectors. 0 when memory is
 * short. */
int cl_extra_find(cl_extra_columns *extra, const carquet_schema_t *schema, const char *vector);

/* Reads them for the `count` rows of a row group and points the rows at them. `values` has room for a byte array,
 * `levels` for a level of each row. COULIS_BAD_DATA when a column does not fit. */
coulis_status cl_extra_read(cl_extra_columns *extra, carquet_reader_t *parquet, int32_t group, int64_t count,
                            void *values, int16_t *levels, cl_row *rows, coulis_error *error);

/* Frees what was read; cl_extra_free frees the columns, too. */
void cl_extra_forget(cl_extra_columns *extra);
void cl_extra_free(cl_extra_columns *extra);
