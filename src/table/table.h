/* A folder of parts, part-00000.parquet and on, read as one table. */
#pragma once

#include "pca/rows.h"
#include "table/part.h"

typedef struct cl_table cl_table;

/* Opens every part-NNNNN.parquet in `folder`, in order; the numbers must run from 0 without
 * a gap, and columns and vector lengths must agree. Where there is none, what other programs wrote is taken: each file
 * there whose name ends in .parquet, in the order of the names' bytes, or `folder` itself when it is a file. */
coulis_status cl_table_open(const char *folder, const char *column, cl_table **table, coulis_error *error);
void cl_table_close(cl_table *table);

int32_t cl_table_parts(const cl_table *table);
int64_t cl_table_rows(const cl_table *table);       /* all rows */
int64_t cl_table_vectors(const cl_table *table);    /* rows with a vector */
int64_t cl_table_length(const cl_table *table);     /* numbers in a vector, 0 when there is none */
const char *cl_table_recipe(const cl_table *table); /* of the first part, or NULL */
cl_part_reader *cl_table_part(cl_table *table, int32_t part);

/* The vectors of the table, rows without one left out, as rows for PCA. The table must outlive it. */
cl_rows cl_table_vectors_source(cl_table *table);
