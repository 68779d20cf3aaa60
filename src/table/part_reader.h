/* What the reader of a part is made of: part_reader.c reads flat columns, part_vectors.c the vectors. */
#pragma once

#include <carquet/carquet.h>
#include <stdio.h>

#include "table/extra.h"
#include "table/part.h"
#include "table/part_columns.h"

/* Limits on what a file may claim, so that a false number asks for no memory: 512 times the rows we write into a
 * row group (pyarrow writes 2^20), and as many numbers as Parquet's 32-bit list offsets reach. */
#define GROUP_ROWS_MAX (1 << 22)
#define GROUP_NUMBERS_MAX INT32_MAX
struct cl_part_reader {
    char *path, *column, *recipe, *pca;
    int64_t number;
    FILE *stream; /* NULL while at rest, and so is parquet */
    carquet_reader_t *parquet;
    int64_t rows, length;
    int32_t groups;
    /* The row group read last. */
    cl_row *row;
    float *vectors;
    char *texts[CL_COLUMNS];
    int32_t leaves[CL_COLUMNS]; /* which of the file's columns it is, -1 when it has none */
    bool any;                   /* tables of other programs will do */
    bool foreign;               /* it is one: it has no recipe of ours */
    int32_t kind;               /* its leaf that says which of Spark's vectors are dense, -1 when they are lists */
    cl_extra_columns extra;
};

/* The words of a failure inside carquet, and of a file that is not as it should be. */
coulis_status cl_part_fail(const cl_part_reader *reader, const carquet_error_t *problem, coulis_error *error);
coulis_status cl_part_bad(const cl_part_reader *reader, const char *what, coulis_error *error);

/* One column of one row group by its leaf, and how many values it says it has, nulls included. */
coulis_status cl_part_open_column(const cl_part_reader *reader, int32_t group, int32_t leaf,
                                  carquet_column_reader_t **values, int64_t *count, coulis_error *error);

/* Finds the length of the first vector of a row group by its levels; 0 when no row has one. */
coulis_status cl_part_measure(const cl_part_reader *reader, int32_t group, int64_t *length, coulis_error *error);

/* Reads the vectors of a row group of `count` rows into reader->vectors and points the rows at them. */
coulis_status cl_part_read_vectors(cl_part_reader *reader, int32_t group, int64_t count, coulis_error *error);
