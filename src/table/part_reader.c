#include "table/part_reader.h"

#include <stdlib.h>

#include "base/files.h"
#include "table/parquet_memory.h"

coulis_status cl_part_fail(const cl_part_reader *reader, const carquet_error_t *problem, coulis_error *error) {
    if (problem->code == CARQUET_ERROR_OUT_OF_MEMORY || cl_parquet_memory_failed())
        return cl_fail(error, COULIS_NO_MEMORY, "not enough memory to read '%s'", reader->path);
    if (problem->code == CARQUET_ERROR_FILE_READ && reader->stream && ferror(reader->stream))
        return cl_fail(error, COULIS_IO, "cannot read '%s': %s", reader->path, problem->message);
    return cl_fail(error, COULIS_BAD_DATA, "'%s' is damaged or not a Parquet file: %s", reader->path,
                   problem->message[0] ? problem->message : carquet_status_string(problem->code));
}

coulis_status cl_part_bad(const cl_part_reader *reader, const char *what, coulis_error *error) {
    if (cl_parquet_memory_failed()) /* what carquet gave is not what the file holds */
        return cl_fail(error, COULIS_NO_MEMORY, "not enough memory to read '%s'", reader->path);
    return cl_fail(error, COULIS_BAD_DATA, "'%s' is not a coulis table: %s", reader->path, what);
}

static void close_file(cl_part_reader *reader) {
    carquet_reader_close(reader->parquet);
    if (reader->stream) fclose(reader->stream);
    reader->parquet = NULL;
    reader->stream = NULL;
}

static coulis_status open_file(cl_part_reader *reader, coulis_error *error) {
    if (reader->parquet) return COULIS_OK;
    uint64_t size;
    carquet_error_t problem = CARQUET_ERROR_INIT;
    carquet_reader_options_t options;
    carquet_reader_options_init(&options);
    options.num_threads = 1;
    coulis_status status = cl_file_open(reader->path, &reader->stream, &size, error);
    if (status) return status;
    cl_parquet_memory_begin();
    reader->parquet = carquet_reader_open_file(reader->stream, &options, &problem);
    const carquet_schema_t *schema = reader->parquet ? carquet_reader_schema(reader->parquet) : NULL;
    const bool has_recipe = reader->parquet && carquet_reader_find_metadata(reader->parquet, CL_RECIPE_KEY);
    reader->kind = -1;
    if (!reader->parquet) status = cl_part_fail(reader, &problem, error);
    else if (has_recipe || !reader->any)
        status = cl_find_columns(schema, reader->path, reader->column, reader->leaves, error);
    /* A program that takes some of our columns, or changes their types, may keep what the footer says. */
    reader->foreign = reader->parquet && reader->any &&
                      (!has_recipe || (status && cl_has_column(schema, reader->column)));
    if (reader->foreign)
        status = cl_find_columns_of_others(schema, reader->path, reader->column, reader->leaves, &reader->kind, error);
    /* Another program's columns may be anything, and large. */
    if (!status && has_recipe && !reader->foreign && !cl_extra_find(&reader->extra, schema, reader->column))
        status = cl_fail_memory(error, reader->path, 0);
    if (status) close_file(reader);
    return status;
}

static void forget_group(cl_part_reader *reader) {
    cl_extra_forget(&reader->extra);
    cl_free(reader->row);
    cl_free(reader->vectors);
    reader->row = NULL;
    reader->vectors = NULL;
    for (int i = 0; i < CL_COLUMNS; i++) {
        cl_free(reader->texts[i]);
        reader->texts[i] = NULL;
    }
}

coulis_status cl_part_open_column(const cl_part_reader *reader, int32_t group, int32_t leaf,
                                  carquet_column_reader_t **values, int64_t *count, coulis_error *error) {
    carquet_error_t problem = CARQUET_ERROR_INIT;
    carquet_column_reader_t *opened = carquet_reader_get_column(reader->parquet, group, leaf, &problem);
    if (!opened) return cl_part_fail(reader, &problem, error);
    *count = carquet_column_remaining(opened);
    *values = opened;
    return COULIS_OK;
}

static coulis_status check_counts(cl_part_reader *reader, coulis_error *error) {
    int64_t rows = 0;
    reader->rows = carquet_reader_num_rows(reader->parquet);
    reader->groups = carquet_reader_num_row_groups(reader->parquet);
    for (int32_t group = 0; group < reader->groups; group++) {
        carquet_row_group_metadata_t about;
        if (carquet_reader_row_group_metadata(reader->parquet, group, &about) || about.num_rows < 0 ||
            about.num_rows > GROUP_ROWS_MAX)
            return cl_part_bad(reader, "a row group has an impossible number of rows", error);
        rows += about.num_rows;
        coulis_status status = COULIS_OK;
        if (reader->length == 0 && about.num_rows > 0) status = cl_part_measure(reader, group, &reader->length, error);
        if (status) return status;
    }
    return rows == reader->rows ? COULIS_OK : cl_part_bad(reader, "its row groups do not add up to its rows", error);
}

/* What stands beside the table in the footer: recipe, number and PCA. */
static coulis_status read_notes(cl_part_reader *reader, coulis_error *error) {
    const char *recipe = carquet_reader_find_metadata(reader->parquet, CL_RECIPE_KEY);
    const char *pca = carquet_reader_find_metadata(reader->parquet, CL_PCA_KEY);
    const char *number = carquet_reader_find_metadata(reader->parquet, CL_PART_KEY);
    reader->number = number && number[0] >= '0' && number[0] <= '9' ? strtoll(number, NULL, 10) : -1;
    if (recipe && !(reader->recipe = cl_strdup(recipe))) return cl_fail_memory(error, reader->path, strlen(recipe));
    if (pca && !(reader->pca = cl_strdup(pca))) return cl_fail_memory(error, reader->path, strlen(pca));
    return COULIS_OK;
}

static coulis_status open_part(const char *path, const char *column, bool any, cl_part_reader **reader,
                               coulis_error *error) {
    cl_part_reader *made = cl_alloc_zero(1, sizeof *made);
    if (!made) return cl_fail_memory(error, path, sizeof *made);
    made->path = cl_strdup(path);
    made->column = cl_strdup(column);
    made->any = any;
    coulis_status status = COULIS_OK;
    if (!made->path || !made->column) status = cl_fail_memory(error, path, strlen(path));
    if (!status) status = open_file(made, error);
    if (!status) status = check_counts(made, error);
    if (!status) status = read_notes(made, error);
    if (status) cl_part_reader_close(made);
    else *reader = made;
    return status;
}

coulis_status cl_part_reader_open(const char *path, const char *column, cl_part_reader **reader, coulis_error *error) {
    return open_part(path, column, false, reader, error);
}

coulis_status cl_part_reader_open_any(const char *path, const char *column, cl_part_reader **reader,
                                      coulis_error *error) {
    return open_part(path, column, true, reader, error);
}

void cl_part_reader_rest(cl_part_reader *reader) {
    forget_group(reader);
    close_file(reader);
}

void cl_part_reader_close(cl_part_reader *reader) {
    if (!reader) return;
    cl_part_reader_rest(reader);
    cl_extra_free(&reader->extra);
    cl_free(reader->path);
    cl_free(reader->column);
    cl_free(reader->recipe);
    cl_free(reader->pca);
    cl_free(reader);
}

const char *cl_part_reader_path(const cl_part_reader *reader) { return reader->path; }
int64_t cl_part_reader_rows(const cl_part_reader *reader) { return reader->rows; }
int64_t cl_part_reader_length(const cl_part_reader *reader) { return reader->length; }
const char *cl_part_reader_recipe(const cl_part_reader *reader) { return reader->recipe; }
int64_t cl_part_reader_number(const cl_part_reader *reader) { return reader->number; }
const char *cl_part_reader_pca(const cl_part_reader *reader) { return reader->pca; }
cl_extra cl_part_reader_extra(const cl_part_reader *reader) {
    return (cl_extra){.names = (const char *const *)reader->extra.names, .count = reader->extra.count};
}
int32_t cl_part_reader_row_groups(const cl_part_reader *reader) { return reader->groups; }

/* ---- one row group -------------------------------------------------------------------- */

/* Reads all `count` values of a flat column: the present ones without gaps to `values`, 1 or 0 to `levels`. */
static coulis_status read_flat(const cl_part_reader *reader, carquet_column_reader_t *column, int64_t count,
                               void *values, int16_t *levels, int16_t full, int32_t number, coulis_error *error) {
    carquet_error_t problem = CARQUET_ERROR_INIT;
    int64_t got = carquet_column_read_batch_ex(column, values, count, levels, NULL, &problem);
    if (problem.code) return cl_part_fail(reader, &problem, error);
    if (got != count) return cl_part_bad(reader, "a column has fewer values than rows", error);
    for (int64_t i = 0; i < count; i++) {
        if (full == 0) levels[i] = 1;
        if (number < CL_COLUMN_ERROR && levels[i] != 1)
            return cl_part_bad(reader, "a path, label or status is null", error);
    }
    return COULIS_OK;
}

/* The number of a status word, -1 when it is none of an image. */
static int32_t status_of(const char *word) {
    for (int32_t status = COULIS_OK; status <= COULIS_MISSING; status++)
        if (!strcmp(word, coulis_status_name(status))) return status;
    return -1;
}

/* Copies the texts of a column, which belong to the column reader, and points the rows at them. */
static coulis_status take_texts(cl_part_reader *reader, int32_t number, int64_t count,
                                const carquet_byte_array_t *texts, const int16_t *levels, coulis_error *error) {
    size_t total = 0;
    int64_t present = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!levels[i]) continue;
        if (texts[present].length < 0) return cl_part_bad(reader, "a text has a negative length", error);
        total += (size_t)texts[present++].length + 1;
    }
    char *to = reader->texts[number] = cl_alloc(total, 1);
    if (!to) return cl_fail_memory(error, reader->path, total);
    present = 0;
    for (int64_t i = 0; i < count; i++) {
        char *text = NULL;
        if (levels[i]) {
            size_t length = (size_t)texts[present].length;
            if (length) memcpy(to, texts[present].data, length);
            to[length] = '\0';
            text = to;
            to += length + 1;
            present++;
        }
        cl_row *row = &reader->row[i];
        if (number == CL_COLUMN_PATH) row->path = text;
        if (number == CL_COLUMN_LABEL) row->label = text;
        if (number == CL_COLUMN_ERROR) row->error = text;
        if (number == CL_COLUMN_SHA256) row->sha256 = text;
        if (number == CL_COLUMN_STATUS && (row->status = status_of(text)) < 0)
            return cl_part_bad(reader, "a status is none of an image", error);
    }
    return COULIS_OK;
}

static void take_numbers(cl_part_reader *reader, int32_t number, int64_t count, const void *values,
                         const int16_t *levels) {
    const int32_t *narrow = values;
    const int64_t *wide = values;
    for (int64_t i = 0; i < count; i++) {
        if (!levels[i]) continue;
        cl_row *row = &reader->row[i];
        switch (number) {
        case CL_COLUMN_WIDTH: row->width = *narrow++; break;
        case CL_COLUMN_HEIGHT: row->height = *narrow++; break;
        case CL_COLUMN_BYTES:
            row->file.has_bytes = true;
            row->file.bytes = *wide++;
            break;
        default: row->file.has_modified = true; row->file.modified = *wide++;
        }
    }
}

static coulis_status read_column(cl_part_reader *reader, int32_t group, int32_t number, int64_t count, void *values,
                                 int16_t *levels, coulis_error *error) {
    carquet_column_reader_t *column = NULL;
    int64_t has = 0;
    int16_t full = carquet_schema_max_def_level(carquet_reader_schema(reader->parquet), reader->leaves[number]);
    coulis_status status = cl_part_open_column(reader, group, reader->leaves[number], &column, &has, error);
    if (status) return status;
    if (has != count) status = cl_part_bad(reader, "a column has another number of values than there are rows", error);
    if (!status) status = read_flat(reader, column, count, values, levels, full, number, error);
    if (!status && cl_column_is_text(number)) status = take_texts(reader, number, count, values, levels, error);
    else if (!status) take_numbers(reader, number, count, values, levels);
    carquet_column_reader_free(column);
    return status;
}

/* What another program's table does not say of its rows. */
static coulis_status complete_rows(cl_part_reader *reader, int32_t group, int64_t count, bool with_vectors,
                                   coulis_error *error) {
    const bool says_which = reader->leaves[CL_COLUMN_STATUS] >= 0;
    coulis_status status = says_which || with_vectors ? COULIS_OK : cl_part_read_vectors(reader, group, count, error);
    for (int64_t i = 0; i < count && !status; i++) {
        cl_row *row = &reader->row[i];
        if (!row->path) row->path = "";
        if (!row->label) row->label = "";
        if (!says_which && !row->vector) {
            row->status = COULIS_UNREADABLE;
            row->error = "it has no vector";
        }
        if (!with_vectors) row->vector = NULL;
    }
    return status;
}

coulis_status cl_part_reader_read(cl_part_reader *reader, int32_t row_group, int32_t with_vectors, const cl_row **rows,
                                  int64_t *count, coulis_error *error) {
    forget_group(reader);
    cl_parquet_memory_begin();
    coulis_status status = open_file(reader, error);
    if (status) return status;
    carquet_row_group_metadata_t about;
    if (carquet_reader_row_group_metadata(reader->parquet, row_group, &about) || about.num_rows < 0 ||
        about.num_rows > GROUP_ROWS_MAX)
        return cl_part_bad(reader, "it changed while it was read", error);
    size_t height = (size_t)about.num_rows;
    void *values = cl_alloc(height, sizeof(carquet_byte_array_t));
    int16_t *levels = cl_alloc(height, sizeof *levels);
    reader->row = cl_alloc_zero(height, sizeof *reader->row);
    if (!values || !levels || !reader->row)
        status = cl_fail_memory(error, reader->path, height * (sizeof *reader->row + 32));
    for (int32_t column = 0; column < CL_COLUMNS && !status && height; column++)
        if (column != CL_COLUMN_VECTOR && reader->leaves[column] >= 0)
            status = read_column(reader, row_group, column, about.num_rows, values, levels, error);
    if (!status && with_vectors && height)
        status = cl_extra_read(&reader->extra, reader->parquet, row_group, about.num_rows, values, levels, reader->row,
                               error);
    if (!status && with_vectors && height) status = cl_part_read_vectors(reader, row_group, about.num_rows, error);
    if (!status && reader->foreign && height)
        status = complete_rows(reader, row_group, about.num_rows, with_vectors != 0, error);
    if (!status && cl_parquet_memory_failed()) status = cl_part_bad(reader, "", error);
    cl_free(values);
    cl_free(levels);
    if (status) {
        forget_group(reader);
        return status;
    }
    *rows = reader->row;
    *count = about.num_rows;
    return COULIS_OK;
}
