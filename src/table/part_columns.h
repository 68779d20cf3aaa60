/* Which of a file's columns are those of a part. */
#pragma once

#include <carquet/carquet.h>

#include "table/columns.h"

/* Whether the file has a column of this name, of whatever type. */
bool cl_has_column(const carquet_schema_t *schema, const char *name);

/* Finds the columns by their names, the vector's under the name `vector`, and checks their types: leaves[c] gets the
 * number of column c in the file. Those of the file may be missing or of another type, and are -1 then; COULIS_BAD_DATA
 * with a sentence on the file `path` when another is. */
coulis_status cl_find_columns(const carquet_schema_t *schema, const char *path, const char *vector,
                              int32_t leaves[CL_COLUMNS], coulis_error *error);

/* The same of a table that another program wrote: only the vectors must be there, as lists of float or double, or as
 * Spark's vectors, under the name `vector` or as the only such column. *kind: of Spark's vectors, the leaf that says
 * which are dense; -1 otherwise. */
coulis_status cl_find_columns_of_others(const carquet_schema_t *schema, const char *path, const char *vector,
                                        int32_t leaves[CL_COLUMNS], int32_t *kind, coulis_error *error);
