#include "table/extra.h"

#include "table/columns.h"

static bool is_own(const char *name, const char *vector) {
    if (strcmp(name, vector) == 0) return true;
    for (int i = 0; i < CL_COLUMNS; i++)
        if (cl_column_names[i] && strcmp(cl_column_names[i], name) == 0) return true;
    return false;
}

int cl_extra_find(cl_extra_columns *extra, const carquet_schema_t *schema, const char *vector) {
    const int32_t columns = carquet_schema_num_columns(schema);
    cl_extra_free(extra);
    extra->names = cl_alloc_zero((size_t)columns, sizeof *extra->names);
    extra->leaves = cl_alloc((size_t)columns, sizeof *extra->leaves);
    extra->texts = cl_alloc_zero((size_t)columns, sizeof *extra->texts);
    if (!extra->names || !extra->leaves || !extra->texts) return 0;
    for (int32_t i = 0; i < columns; i++) {
        const char *path[2] = {NULL};
        if (carquet_schema_column_path(schema, i, path, 2) != 1 || !path[0] || is_own(path[0], vector) ||
            carquet_schema_column_type(schema, i) != CARQUET_PHYSICAL_BYTE_ARRAY ||
            carquet_schema_max_rep_level(schema, i) != 0)
            continue;
        extra->leaves[extra->count] = i;
        if (!(extra->names[extra->count++] = cl_strdup(path[0]))) return 0;
    }
    return 1;
}

static coulis_status bad(const cl_extra_columns *extra, int32_t column, coulis_error *error) {
    return cl_fail(error, COULIS_BAD_DATA, "the column '%s' of a table is damaged", extra->names[column]);
}

/* Copies the texts of a column, which belong to its reader, into one piece of memory, and points the rows at them. */
static coulis_status take(cl_extra_columns *extra, int32_t column, int64_t count, const carquet_byte_array_t *texts,
                          const int16_t *levels, int16_t full, coulis_error *error) {
    size_t total = 1;
    int64_t present = 0;
    for (int64_t i = 0; i < count; i++) {
        if (full > 0 && levels[i] != full) continue;
        if (texts[present].length < 0) return bad(extra, column, error);
        total += (size_t)texts[present++].length + 1;
    }
    char *to = extra->texts[column] = cl_alloc(total, 1);
    if (!to) return cl_fail_memory(error, extra->names[column], total);
    present = 0;
    for (int64_t i = 0; i < count; i++) {
        const char **value = &extra->values[i * extra->count + column];
        *value = NULL;
        if (full > 0 && levels[i] != full) continue;
        const size_t length = (size_t)texts[present].length;
        if (length) memcpy(to, texts[present].data, length);
        to[length] = '\0';
        *value = to;
        to += length + 1;
        present++;
    }
    return COULIS_OK;
}

coulis_status cl_extra_read(cl_extra_columns *extra, carquet_reader_t *parquet, int32_t group, int64_t count,
                            void *values, int16_t *levels, cl_row *rows, coulis_error *error) {
    coulis_status status = COULIS_OK;
    if (extra->count == 0) return status;
    extra->values = cl_alloc((size_t)count, (size_t)extra->count * sizeof *extra->values);
    if (!extra->values) return cl_fail_memory(error, "columns", (size_t)count);
    for (int32_t i = 0; i < extra->count && !status; i++) {
        carquet_error_t problem = CARQUET_ERROR_INIT;
        const int16_t full = carquet_schema_max_def_level(carquet_reader_schema(parquet), extra->leaves[i]);
        carquet_column_reader_t *column = carquet_reader_get_column(parquet, group, extra->leaves[i], &problem);
        if (!column) return bad(extra, i, error);
        int64_t got = carquet_column_read_batch_ex(column, values, count, levels, NULL, &problem);
        status = problem.code || got != count ? bad(extra, i, error)
                                              : take(extra, i, count, values, levels, full, error);
        carquet_column_reader_free(column);
    }
    for (int64_t row = 0; row < count && !status; row++) {
        rows[row].extra = extra->values + row * extra->count;
        rows[row].extra_count = extra->count;
    }
    return status;
}

void cl_extra_forget(cl_extra_columns *extra) {
    for (int32_t i = 0; extra->texts && i < extra->count; i++) {
        cl_free(extra->texts[i]);
        extra->texts[i] = NULL;
    }
    cl_free(extra->values);
    extra->values = NULL;
}

void cl_extra_free(cl_extra_columns *extra) {
    cl_extra_forget(extra);
    for (int32_t i = 0; extra->names && i < extra->count; i++) cl_free(extra->names[i]);
    cl_free(extra->names);
    cl_free(extra->leaves);
    cl_free(extra->texts);
    *extra = (cl_extra_columns){0};
}
