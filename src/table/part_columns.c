#include "table/part_columns.h"

/* The leaf of a column, -1 when the file has none of that name. */
static int32_t find_leaf(const carquet_schema_t *schema, const char *name) {
    for (int32_t i = 0; i < carquet_schema_num_columns(schema); i++) {
        const char *path[4] = {NULL};
        if (carquet_schema_column_path(schema, i, path, 4) >= 1 && path[0] && strcmp(path[0], name) == 0) return i;
    }
    return -1;
}

bool cl_has_column(const carquet_schema_t *schema, const char *name) { return schema && find_leaf(schema, name) >= 0; }

/* Whether a leaf has the type and shape of `column`. Required and optional are both taken for the columns
 * that must not be null, as other writers know only the latter. */
static bool has_type(const carquet_schema_t *schema, int32_t leaf, int column) {
    const char *path[4] = {NULL};
    const bool is_vector = column == CL_COLUMN_VECTOR;
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

/* The leaf of a column that may be missing; another program's column of that name may be anything, and is not it. */
static int32_t find_optional(const carquet_schema_t *schema, int column) {
    const int32_t leaf = find_leaf(schema, cl_column_names[column]);
    return leaf >= 0 && has_type(schema, leaf, column) ? leaf : -1;
}

coulis_status cl_find_columns(const carquet_schema_t *schema, const char *path, const char *vector,
                              int32_t leaves[CL_COLUMNS], coulis_error *error) {
    if (!schema) return cl_fail(error, COULIS_BAD_DATA, "'%s' is not a coulis table: it has no columns", path);
    for (int column = 0; column < CL_COLUMNS; column++) {
        if (column > CL_COLUMN_VECTOR) {
            leaves[column] = find_optional(schema, column);
            continue;
        }
        const char *name = column == CL_COLUMN_VECTOR ? vector : cl_column_names[column];
        int32_t leaf = leaves[column] = find_leaf(schema, name);
        if (leaf < 0) {
            return cl_fail(error, COULIS_BAD_DATA, "'%s' is not a coulis table: it has no column '%s'", path, name);
        } else if (!has_type(schema, leaf, column)) {
            return cl_fail(error, COULIS_BAD_DATA, "'%s' is not a coulis table: the column '%s' has another type", path,
                           name);
        }
    }
    return COULIS_OK;
}

/* ---- tables of other programs ---- */

/* How many names lead to a leaf of vectors: 3 of a list, `name.list.element`; 4 of Spark's struct,
 * `name.values.list.element`; 0 when it is none. Writers differ in the last two names. */
static int vector_depth(const carquet_schema_t *schema, int32_t leaf, const char *path[4]) {
    const carquet_physical_type_t type = carquet_schema_column_type(schema, leaf);
    if ((type != CARQUET_PHYSICAL_FLOAT && type != CARQUET_PHYSICAL_DOUBLE) ||
        carquet_schema_max_rep_level(schema, leaf) != 1)
        return 0;
    const int depth = carquet_schema_column_path(schema, leaf, path, 4);
    return depth == 3 || (depth == 4 && path[1] && strcmp(path[1], "values") == 0) ? depth : 0;
}

/* The leaf `name`.type beside Spark's values, -1 when there is none. */
static int32_t find_kind(const carquet_schema_t *schema, const char *name) {
    for (int32_t i = 0; i < carquet_schema_num_columns(schema); i++) {
        const char *path[4] = {NULL};
        if (carquet_schema_column_path(schema, i, path, 4) == 2 && path[0] && path[1] && strcmp(path[0], name) == 0 &&
            strcmp(path[1], "type") == 0 && carquet_schema_column_type(schema, i) == CARQUET_PHYSICAL_INT32 &&
            carquet_schema_max_rep_level(schema, i) == 0)
            return i;
    }
    return -1;
}

coulis_status cl_find_columns_of_others(const carquet_schema_t *schema, const char *path, const char *vector,
                                        int32_t leaves[CL_COLUMNS], int32_t *kind, coulis_error *error) {
    if (!schema) return cl_fail(error, COULIS_BAD_DATA, "'%s' has no columns", path);
    const char *first = NULL, *second = NULL; /* columns of vectors */
    int32_t only = -1, named = -1;
    for (int32_t i = 0; i < carquet_schema_num_columns(schema) && named < 0; i++) {
        const char *names[4] = {NULL};
        if (!vector_depth(schema, i, names) || !names[0]) continue;
        if (strcmp(names[0], vector) == 0) named = i;
        if (first) second = names[0];
        else first = names[0], only = i;
    }
    if (named < 0 && !first)
        return cl_fail(error, COULIS_BAD_DATA,
                       "'%s' has no column of vectors: lists of float or double, or vectors of "
                       "Spark",
                       path);
    if (named < 0 && second)
        return cl_fail(error, COULIS_BAD_DATA,
                       "'%s' has several columns of vectors, '%s' and '%s' among them; name "
                       "the one to be taken '%s'",
                       path, first, second, vector);
    for (int column = 0; column < CL_COLUMNS; column++)
        if (column != CL_COLUMN_VECTOR) leaves[column] = find_optional(schema, column);
    const int32_t leaf = leaves[CL_COLUMN_VECTOR] = named >= 0 ? named : only;
    const char *names[4] = {NULL};
    *kind = vector_depth(schema, leaf, names) == 4 ? find_kind(schema, names[0]) : -1;
    if (names[3] && *kind < 0)
        return cl_fail(error, COULIS_BAD_DATA, "'%s': the column '%s' is neither a list nor a vector of Spark", path,
                       names[0]);
    return COULIS_OK;
}
