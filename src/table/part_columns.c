#include "table/part_columns.h"

#include <string.h>

#include "base/error.h"

/* The leaf of a column, -1 when the file has none of that name. */
static int32_t find_leaf(const carquet_schema_t *schema, const char *name) {
    for (int32_t i = 0; i < carquet_schema_num_columns(schema); i++) {
        const char *path[4] = {NULL};
        if (carquet_schema_column_path(schema, i, path, 4) >= 1 && path[0] && strcmp(path[0], name) == 0) return i;
    }
    return -1;
}

/* Whether a leaf has the type and shape of `column`. Required and optional are both taken for the columns
 * that must not be null, as other writers know only the latter. */
static int has_type(const carquet_schema_t *schema, int32_t leaf, int column) {
    const char *path[4] = {NULL};
    int is_vector = column == CL_COLUMN_VECTOR;
    carquet_physical_type_t type = is_vector                   ? CARQUET_PHYSICAL_FLOAT
                                   : cl_column_is_text(column) ? CARQUET_PHYSICAL_BYTE_ARRAY
                                   : cl_column_is_wide(column) ? CARQUET_PHYSICAL_INT64
                                                               : CARQUET_PHYSICAL_INT32;
    int16_t definition = carquet_schema_max_def_level(schema, leaf);
    return carquet_schema_column_type(schema, leaf) == type &&
           carquet_schema_column_path(schema, leaf, path, 4) == (is_vector ? 3 : 1) &&
           carquet_schema_max_rep_level(schema, leaf) == is_vector && definition >= 2 * is_vector &&
           definition <= 1 + 2 * is_vector;
}

coulis_status cl_find_columns(const carquet_schema_t *schema, const char *path, const char *vector,
                              int32_t leaves[CL_COLUMNS], coulis_error *error) {
    if (!schema) return cl_fail(error, COULIS_BAD_DATA, "'%s' is no table of coulis: it has no columns", path);
    for (int column = 0; column < CL_COLUMNS; column++) {
        const char *name = column == CL_COLUMN_VECTOR ? vector : cl_column_names[column];
        int32_t leaf = leaves[column] = find_leaf(schema, name);
        if (column > CL_COLUMN_VECTOR) { /* another program's column of that name may be anything */
            if (leaf >= 0 && !has_type(schema, leaf, column)) leaves[column] = -1;
        } else if (leaf < 0) {
            return cl_fail(error, COULIS_BAD_DATA, "'%s' is no table of coulis: it has no column '%s'", path,
                           name);
        } else if (!has_type(schema, leaf, column)) {
            return cl_fail(error, COULIS_BAD_DATA, "'%s' is no table of coulis: the column '%s' has another type",
                           path, name);
        }
    }
    return COULIS_OK;
}
