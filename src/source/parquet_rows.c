#include <errno.h>
#include <inttypes.h>
#include <strings.h>

#include "source/location.h"
#include "source/parquet.h"
#include "table/parquet_memory.h"

#define BATCH 16           /* rows, each of which may be a large image */
#define TEXT_MAX (1 << 20) /* bytes of a text that is carried along */

static coulis_status fail(const cl_rows_of_file *rows, const carquet_error_t *problem, coulis_error *error) {
    if (problem->code == CARQUET_ERROR_OUT_OF_MEMORY) return cl_fail_memory(error, rows->name, 0);
    if (problem->code == CARQUET_ERROR_FILE_READ && ferror(rows->stream))
        return cl_fail(error, COULIS_IO, "%s: cannot be read: %s", rows->name, strerror(errno ? errno : EIO));
    return cl_fail(error, COULIS_BAD_DATA, "%s: is damaged or not a Parquet file: %s", rows->name,
                   problem->message[0] ? problem->message : carquet_status_string(problem->code));
}

static coulis_status find_leaves(cl_rows_of_file *rows, coulis_error *error) {
    const carquet_schema_t *schema = carquet_reader_schema(rows->reader);
    const int32_t count = schema ? carquet_schema_num_columns(schema) : 0;
    rows->leaves = cl_alloc_zero((size_t)count + 1, sizeof *rows->leaves);
    if (!rows->leaves) return cl_fail_memory(error, rows->name, 0);
    for (int32_t i = 0; i < count; i++) {
        cl_leaf leaf = {.index = i,
                        .type = carquet_schema_column_type(schema, i),
                        .full = carquet_schema_max_def_level(schema, i)};
        const char *path[CL_PARQUET_DEPTH + 1] = {NULL};
        leaf.depth = carquet_schema_column_path(schema, i, path, CL_PARQUET_DEPTH + 1);
        if (leaf.depth < 1 || leaf.depth > CL_PARQUET_DEPTH || carquet_schema_max_rep_level(schema, i) != 0) continue;
        bool named = true; /* a damaged schema may have no names */
        for (int32_t d = 0; d < leaf.depth; d++) named &= path[d] != NULL;
        if (!named) continue;
        memcpy(leaf.path, path, sizeof leaf.path);
        rows->leaves[rows->leaf_count++] = leaf;
    }
    return COULIS_OK;
}

coulis_status cl_parquet_rows_open(const char *name, const coulis_source_options *given, cl_rows_of_file **out,
                                   coulis_error *error) {
    cl_rows_of_file *rows = cl_alloc_zero(1, sizeof *rows);
    if (!rows) return cl_fail_memory(error, name, sizeof *rows);
    rows->name = name;
    rows->row = -1;
    uint64_t size;
    carquet_error_t problem = CARQUET_ERROR_INIT;
    carquet_reader_options_t options;
    carquet_reader_options_init(&options);
    options.num_threads = 1;
    coulis_status status = cl_location_open(name, given, &rows->stream, &size, error);
    cl_parquet_memory_begin();
    if (!status && !(rows->reader = carquet_reader_open_file(rows->stream, &options, &problem)))
        status = fail(rows, &problem, error);
    if (status != COULIS_NO_MEMORY && cl_parquet_memory_failed()) status = cl_fail_memory(error, name, 0);
    if (!status) status = find_leaves(rows, error);
    if (status) {
        cl_parquet_rows_close(rows);
        return status;
    }
    rows->groups = carquet_reader_num_row_groups(rows->reader);
    *out = rows;
    return COULIS_OK;
}

void cl_parquet_rows_close(cl_rows_of_file *rows) {
    if (!rows) return;
    for (int32_t i = 0; i < rows->leaf_count; i++) {
        carquet_column_reader_free(rows->leaves[i].reader);
        cl_free(rows->leaves[i].values);
        cl_free(rows->leaves[i].levels);
    }
    carquet_reader_close(rows->reader);
    if (rows->stream) fclose(rows->stream);
    cl_free(rows->leaves);
    cl_free(rows);
}

/* Begins a row group: a reader for each wanted leaf. */
static coulis_status open_group(cl_rows_of_file *rows, coulis_error *error) {
    carquet_row_group_metadata_t about;
    if (carquet_reader_row_group_metadata(rows->reader, rows->group, &about) || about.num_rows < 0)
        return cl_fail(error, COULIS_BAD_DATA, "%s: a row group has an impossible number of rows", rows->name);
    for (int32_t i = 0; i < rows->leaf_count; i++) {
        cl_leaf *leaf = &rows->leaves[i];
        carquet_error_t problem = CARQUET_ERROR_INIT;
        if (!leaf->wanted) continue;
        carquet_column_reader_free(leaf->reader);
        leaf->reader = carquet_reader_get_column(rows->reader, rows->group, leaf->index, &problem);
        if (!leaf->reader) return fail(rows, &problem, error);
        if (!leaf->values) leaf->values = cl_alloc(BATCH, sizeof(carquet_byte_array_t)); /* the widest type */
        if (!leaf->levels) leaf->levels = cl_alloc_zero(BATCH, sizeof *leaf->levels);
        if (!leaf->values || !leaf->levels) return cl_fail_memory(error, rows->name, 0);
    }
    rows->group++;
    rows->left = about.num_rows;
    return COULIS_OK;
}

static coulis_status read_batch(cl_rows_of_file *rows, coulis_error *error) {
    cl_parquet_memory_begin();
    rows->at = 0;
    rows->rows = rows->left < BATCH ? rows->left : BATCH;
    rows->left -= rows->rows;
    for (int32_t i = 0; i < rows->leaf_count; i++) {
        cl_leaf *leaf = &rows->leaves[i];
        if (!leaf->wanted) continue;
        carquet_error_t problem = CARQUET_ERROR_INIT;
        int64_t got = carquet_column_read_batch_ex(leaf->reader, leaf->values, rows->rows, leaf->levels, NULL,
                                                   &problem);
        if (cl_parquet_memory_failed()) return cl_fail_memory(error, rows->name, 0);
        if (problem.code) return fail(rows, &problem, error);
        if (got != rows->rows)
            return cl_fail(error, COULIS_BAD_DATA, "%s: a column has fewer values than rows", rows->name);
        for (int64_t row = 0; leaf->full == 0 && row < got; row++) leaf->levels[row] = 0;
        leaf->taken = 0;
    }
    return COULIS_OK;
}

coulis_status cl_parquet_rows_next(cl_rows_of_file *rows, bool *there, coulis_error *error) {
    *there = true;
    rows->row++;
    if (rows->at < rows->rows) {
        for (int32_t i = 0; i < rows->leaf_count; i++) {
            cl_leaf *leaf = &rows->leaves[i];
            if (leaf->wanted) leaf->taken += leaf->levels[rows->at] == leaf->full;
        }
        if (++rows->at < rows->rows) return COULIS_OK;
    }
    while (rows->left == 0) {
        if (rows->group == rows->groups) {
            *there = false;
            return COULIS_OK;
        }
        coulis_status status = open_group(rows, error);
        if (status) return status;
    }
    return read_batch(rows, error);
}

static bool is_there(const cl_rows_of_file *rows, const cl_leaf *leaf) {
    return leaf->wanted && leaf->levels[rows->at] == leaf->full;
}

const uint8_t *cl_parquet_bytes(const cl_rows_of_file *rows, const cl_leaf *leaf, size_t *size) {
    if (!is_there(rows, leaf) || leaf->type != CARQUET_PHYSICAL_BYTE_ARRAY) return NULL;
    const carquet_byte_array_t *value = (const carquet_byte_array_t *)leaf->values + leaf->taken;
    if (value->length < 0) return NULL;
    *size = (size_t)value->length;
    return value->data ? value->data : (const uint8_t *)"";
}

bool cl_parquet_integer(const cl_rows_of_file *rows, const cl_leaf *leaf, int64_t *number) {
    if (!is_there(rows, leaf)) return false;
    if (leaf->type == CARQUET_PHYSICAL_INT32) *number = ((const int32_t *)leaf->values)[leaf->taken];
    else if (leaf->type == CARQUET_PHYSICAL_INT64) *number = ((const int64_t *)leaf->values)[leaf->taken];
    else return false;
    return true;
}

bool cl_is_binary(const uint8_t *bytes, size_t size) {
    if (size > 0 && bytes[0] >= 0x80 && bytes[0] < 0xC2) return true;
    for (size_t i = 0; i < size && i < 64; i++)
        if (bytes[i] < 9 || (bytes[i] > 13 && bytes[i] < 32) || bytes[i] >= 0xF8) return true;
    return false;
}

coulis_status cl_parquet_text(const cl_rows_of_file *rows, const cl_leaf *leaf, char **text, coulis_error *error) {
    int64_t number;
    *text = NULL;
    if (!is_there(rows, leaf)) return COULIS_OK;
    if (leaf->type == CARQUET_PHYSICAL_BYTE_ARRAY) {
        size_t size = 0;
        const uint8_t *bytes = cl_parquet_bytes(rows, leaf, &size);
        if (!bytes || size > TEXT_MAX || cl_is_binary(bytes, size)) return COULIS_OK;
        *text = cl_format("%.*s", (int)size, (const char *)bytes);
    } else if (leaf->type == CARQUET_PHYSICAL_BOOLEAN) {
        *text = cl_strdup(((const uint8_t *)leaf->values)[leaf->taken] ? "true" : "false");
    } else if (cl_parquet_integer(rows, leaf, &number)) {
        *text = cl_format("%" PRId64, number);
    } else if (leaf->type == CARQUET_PHYSICAL_FLOAT) {
        *text = cl_format("%.9g", (double)((const float *)leaf->values)[leaf->taken]);
    } else if (leaf->type == CARQUET_PHYSICAL_DOUBLE) {
        *text = cl_format("%.17g", ((const double *)leaf->values)[leaf->taken]);
    } else {
        return COULIS_OK;
    }
    return *text ? COULIS_OK : cl_fail_memory(error, rows->name, 0);
}

cl_leaf *cl_parquet_leaf(const cl_rows_of_file *rows, const char *outer, const char *inner) {
    for (int32_t i = 0; i < rows->leaf_count; i++) {
        cl_leaf *leaf = &rows->leaves[i];
        if (leaf->depth == (inner ? 2 : 1) && strcasecmp(leaf->path[0], outer) == 0 &&
            (!inner || strcasecmp(leaf->path[1], inner) == 0))
            return leaf;
    }
    return NULL;
}
