/* Rows of a Parquet file, a few columns of them, in order. */
#pragma once

#include <carquet/carquet.h>

#include "base/base.h"

#define CL_PARQUET_DEPTH 3 /* of a leaf that is read: a column, or a field of a struct, or of a struct in one */

/* A leaf column that is not within a list. */
typedef struct cl_leaf {
    const char *path[CL_PARQUET_DEPTH]; /* names from the root */
    int32_t depth, index;
    carquet_physical_type_t type;
    int16_t full; /* the definition level of a value that is there */
    bool wanted;
    /* The batch read last: the values that are there without gaps, and for each row whether it has one. */
    carquet_column_reader_t *reader;
    void *values;
    int16_t *levels;
    int64_t taken; /* values of the rows before the current one */
} cl_leaf;

typedef struct cl_rows_of_file {
    const char *name;
    FILE *stream;
    carquet_reader_t *reader;
    cl_leaf *leaves;
    int32_t leaf_count;
    int32_t group, groups;
    int64_t left;     /* rows of the group after the batch */
    int64_t at, rows; /* in the batch */
    int64_t row;      /* number of the current row in the file */
} cl_rows_of_file;

/* Opens a file, whose name must live on, and finds its leaves; which are wanted is to be said before the first row. */
coulis_status cl_parquet_rows_open(const char *name, const coulis_source_options *options, cl_rows_of_file **rows,
                                   coulis_error *error);
void cl_parquet_rows_close(cl_rows_of_file *rows);

/* Goes to the next row; *there is false after the last. */
coulis_status cl_parquet_rows_next(cl_rows_of_file *rows, bool *there, coulis_error *error);

/* The bytes of a BYTE_ARRAY leaf in the current row; NULL when it is null. They live until the next row. */
const uint8_t *cl_parquet_bytes(const cl_rows_of_file *rows, const cl_leaf *leaf, size_t *size);

/* The value of a leaf in the current row as text, into `text` (released with cl_free); NULL for null, and for bytes
 * that are not text. */
coulis_status cl_parquet_text(const cl_rows_of_file *rows, const cl_leaf *leaf, char **text, coulis_error *error);

/* A whole number in the current row; false when it is null or of another type. */
bool cl_parquet_integer(const cl_rows_of_file *rows, const cl_leaf *leaf, int64_t *number);

/* Whether bytes are those of no text: control characters, or what UTF-8 never has. */
bool cl_is_binary(const uint8_t *bytes, size_t size);

/* The leaf with these names, `inner` NULL for a column of its own; NULL when there is none. */
cl_leaf *cl_parquet_leaf(const cl_rows_of_file *rows, const char *outer, const char *inner);
