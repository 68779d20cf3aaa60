#include <carquet/carquet.h>
#include <errno.h>

#include "base/files.h"
#include "table/columns.h"
#include "table/parquet_memory.h"
#include "table/part.h"

struct cl_part_writer {
    cl_new_file file;
    carquet_writer_t *parquet;
    int64_t rows;                     /* written so far */
    int64_t length, slice;            /* dimensions of a vector; values in a slice: at least one vector */
    int32_t extra_count;              /* further text columns */
    float *values;                    /* slice */
    int16_t *definition, *repetition; /* slice */
    int64_t regular;                  /* the first so many levels are those of vectors in each row already */
};

/* Numbers in a slice of short vectors: with their levels they stay in a second-level cache. */
#define SLICE 32768

int64_t cl_row_group_rows(int64_t length) {
    int64_t rows = length > 0 ? (32 << 20) / 4 / length : 8192;
    return rows < 1 ? 1 : rows > 8192 ? 8192 : rows;
}

/* The words of a failure; carquet says only that a write failed, errno says why. */
static coulis_status fail(cl_part_writer *writer, carquet_status_t status, int number, coulis_error *error) {
    if (status == CARQUET_ERROR_OUT_OF_MEMORY)
        return cl_fail(error, COULIS_NO_MEMORY, "not enough memory to write '%s'", writer->file.path);
    if (status == CARQUET_ERROR_FILE_WRITE)
        return cl_fail(error, COULIS_IO, "cannot write '%s': %s", writer->file.path,
                       number ? strerror(number) : "the write was refused");
    return cl_fail(error, COULIS_INTERNAL, "cannot write '%s': %s", writer->file.path, carquet_status_string(status));
}

/* What carquet says, or that it did not notice that memory was short. */
static carquet_status_t checked(carquet_status_t status) {
    return cl_parquet_memory_failed() ? CARQUET_ERROR_OUT_OF_MEMORY : status;
}

static void release(cl_part_writer *writer) {
    cl_free(writer->values);
    cl_free(writer->definition);
    cl_free(writer->repetition);
    cl_free(writer);
}

static carquet_status_t add_column(carquet_schema_t *schema, int column) {
    static const carquet_logical_type_t text = {.id = CARQUET_LOGICAL_STRING};
    /* Microseconds, as older readers know no finer ones. */
    static const carquet_logical_type_t time = {.id = CARQUET_LOGICAL_TIMESTAMP,
                                                .params.timestamp = {.unit = CARQUET_TIME_UNIT_MICROS,
                                                                     .is_adjusted_to_utc = true}};
    carquet_physical_type_t type = cl_column_is_text(column)   ? CARQUET_PHYSICAL_BYTE_ARRAY
                                   : cl_column_is_wide(column) ? CARQUET_PHYSICAL_INT64
                                                               : CARQUET_PHYSICAL_INT32;
    return carquet_schema_add_column(schema, cl_column_names[column], type,
                                     cl_column_is_text(column)      ? &text
                                     : column == CL_COLUMN_MODIFIED ? &time
                                                                    : NULL,
                                     column < CL_COLUMN_ERROR ? CARQUET_REPETITION_REQUIRED
                                                              : CARQUET_REPETITION_OPTIONAL,
                                     0, 0);
}

static carquet_status_t make_schema(carquet_schema_t *schema, const char *column, const cl_extra *extra) {
    static const carquet_logical_type_t text = {.id = CARQUET_LOGICAL_STRING};
    carquet_status_t status = CARQUET_OK;
    for (int i = 0; i < CL_COLUMNS && !status; i++)
        if (i != CL_COLUMN_VECTOR) status = add_column(schema, i);
        else if (carquet_schema_add_list(schema, column, CARQUET_PHYSICAL_FLOAT, NULL, CARQUET_REPETITION_OPTIONAL, 0,
                                         0) < 0)
            status = CARQUET_ERROR_OUT_OF_MEMORY;
    for (int32_t i = 0; i < extra->count && !status; i++)
        status = carquet_schema_add_column(schema, extra->names[i], CARQUET_PHYSICAL_BYTE_ARRAY, &text,
                                           CARQUET_REPETITION_OPTIONAL, 0, 0);
    return status;
}

/* How each column is stored. Text is compressed, and what repeats goes into a dictionary. Vectors are stored as
 * they are: 40,000 random vectors of 1,280 dimensions took 0.45 s of one core of an EPYC 9004 that had other work too
 * (450 MB/s); with Zstandard at level 1, for which carquet also splits the floats' bytes into streams, 0.7 s, for
 * 18 % less space. */
static carquet_status_t set_encodings(carquet_writer_t *parquet, const cl_extra *extra) {
    carquet_status_t status = CARQUET_OK;
    for (int i = 0; i < CL_COLUMNS && !status; i++) {
        if (i == CL_COLUMN_VECTOR) continue;
        status = carquet_writer_set_column_compression(parquet, i, CARQUET_COMPRESSION_ZSTD, 1);
        /* Hardly a path, digest, size or time of a file stands there twice. */
        if (!status && i != CL_COLUMN_PATH && i < CL_COLUMN_VECTOR)
            status = carquet_writer_set_column_encoding(parquet, i, CARQUET_ENCODING_RLE_DICTIONARY);
    }
    if (!status) status = carquet_writer_set_column_statistics(parquet, CL_COLUMN_VECTOR, false);
    if (!status) status = carquet_writer_set_column_statistics(parquet, CL_COLUMN_SHA256, false);
    for (int32_t i = CL_COLUMNS; i < CL_COLUMNS + extra->count && !status; i++)
        status = carquet_writer_set_column_compression(parquet, i, CARQUET_COMPRESSION_ZSTD, 1);
    return status;
}

static carquet_status_t open_parquet(cl_part_writer *writer, const char *column, const char *recipe,
                                     const cl_extra *extra) {
    carquet_error_t problem = CARQUET_ERROR_INIT;
    carquet_writer_options_t options;
    carquet_writer_options_init(&options);
    options.created_by = "coulis " COULIS_VERSION;
    options.row_group_size = INT64_MAX; /* row groups end where the caller says */
    options.async_io = false;           /* one thread, so that errno is of the write that failed */
    carquet_schema_t *schema = carquet_schema_create(&problem);
    if (!schema) return CARQUET_ERROR_OUT_OF_MEMORY;
    carquet_status_t status = make_schema(schema, column, extra);
    if (!status) {
        writer->parquet = carquet_writer_create_file(writer->file.stream, schema, &options, &problem);
        status = writer->parquet ? set_encodings(writer->parquet, extra) : problem.code;
    }
    if (!status && recipe) status = carquet_writer_add_metadata(writer->parquet, CL_RECIPE_KEY, recipe);
    carquet_schema_free(schema);
    return status;
}

coulis_status cl_part_writer_open(const char *path, const char *column, int64_t length, const char *recipe,
                                  const cl_extra *extra, cl_part_writer **writer, coulis_error *error) {
    /* Parquet counts the values of a page in 32 bits. */
    if (length < 1 || length > INT32_MAX / 2)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "'%s': vectors of %lld dimensions cannot be written", path,
                       (long long)length);
    cl_part_writer *made = cl_alloc_zero(1, sizeof *made);
    if (!made) return cl_fail_memory(error, path, sizeof *made);
    made->length = length;
    made->extra_count = extra->count;
    made->slice = length < SLICE ? SLICE : length;
    made->values = cl_alloc((size_t)made->slice, sizeof *made->values);
    made->definition = cl_alloc((size_t)made->slice, sizeof *made->definition);
    made->repetition = cl_alloc((size_t)made->slice, sizeof *made->repetition);
    coulis_status status = COULIS_OK;
    if (!made->values || !made->definition || !made->repetition)
        status = cl_fail_memory(error, path, (size_t)made->slice * 8);
    if (!status) status = cl_new_file_begin(&made->file, path, error);
    if (status) {
        release(made);
        return status;
    }
    cl_parquet_memory_begin();
    carquet_status_t problem = checked(open_parquet(made, column, recipe, extra));
    if (problem) {
        status = fail(made, problem, errno, error);
        cl_part_writer_abort(made);
        return status;
    }
    *writer = made;
    return COULIS_OK;
}

static carquet_byte_array_t bytes_of(const char *text) {
    /* carquet takes bytes that are not const but does not write to them. */
    union {
        const char *given;
        uint8_t *wanted;
    } pointer = {text ? text : ""};
    return (carquet_byte_array_t){pointer.wanted, (int32_t)strlen(pointer.given)};
}

static const char *text_of(const cl_row *row, int column) {
    switch (column) {
    case CL_COLUMN_PATH: return row->path;
    case CL_COLUMN_LABEL: return row->label;
    case CL_COLUMN_STATUS: return coulis_status_name(row->status);
    case CL_COLUMN_ERROR: return row->error;
    default: return row->sha256;
    }
}

/* The number in a column that holds one; whether there is one. */
static bool number_of(const cl_row *row, int column, int64_t *number) {
    switch (column) {
    case CL_COLUMN_WIDTH: *number = row->width; return row->width > 0;
    case CL_COLUMN_HEIGHT: *number = row->height; return row->height > 0;
    case CL_COLUMN_BYTES: *number = row->file.bytes; return row->file.has_bytes;
    default: *number = row->file.modified; return row->file.has_modified;
    }
}

/* The columns beside the vector. `scratch` has room for `count` byte arrays, `present` for levels. */
static carquet_status_t write_flat(carquet_writer_t *parquet, const cl_row *rows, int64_t count, void *scratch,
                                   int16_t *present) {
    carquet_status_t status = CARQUET_OK;
    for (int column = 0; column < CL_COLUMNS && !status; column++) {
        if (column == CL_COLUMN_VECTOR) continue;
        carquet_byte_array_t *texts = scratch;
        int32_t *numbers = scratch;
        int64_t *wide = scratch;
        int64_t filled = 0, number;
        for (int64_t i = 0; i < count; i++) {
            if (cl_column_is_text(column)) {
                present[i] = column < CL_COLUMN_ERROR || text_of(&rows[i], column) != NULL;
                if (present[i]) texts[filled++] = bytes_of(text_of(&rows[i], column));
            } else if ((present[i] = (int16_t)number_of(&rows[i], column, &number)) != 0) {
                if (cl_column_is_wide(column)) wide[filled++] = number;
                else numbers[filled++] = (int32_t)number;
            }
        }
        status = carquet_writer_write_batch(parquet, column, scratch, count, column < CL_COLUMN_ERROR ? NULL : present,
                                            NULL);
    }
    return status;
}

static carquet_status_t write_extra(cl_part_writer *writer, const cl_row *rows, int64_t count, void *scratch,
                                    int16_t *present) {
    carquet_status_t status = CARQUET_OK;
    carquet_byte_array_t *texts = scratch;
    for (int32_t column = 0; column < writer->extra_count && !status; column++) {
        int64_t filled = 0;
        for (int64_t i = 0; i < count; i++) {
            const char *text = rows[i].extra && column < rows[i].extra_count ? rows[i].extra[column] : NULL;
            present[i] = text != NULL;
            if (text) texts[filled++] = bytes_of(text);
        }
        status = carquet_writer_write_batch(writer->parquet, CL_COLUMNS + column, scratch, count, present, NULL);
    }
    return status;
}

/* Dremel's levels of an optional list of optional floats, from `entry` on: 3 and 0 or 1 for each number, 1 meaning that
 * the list goes on; 0 and 0 for a row without a vector. */
static void set_levels(cl_part_writer *writer, int64_t entry, int64_t span, bool vector) {
    const bool in_step = vector && entry % span == 0;
    if (in_step && entry + span <= writer->regular) return;
    for (int64_t j = entry; j < entry + span; j++) {
        writer->definition[j] = vector ? 3 : 0;
        writer->repetition[j] = j > entry;
    }
    if (in_step && entry <= writer->regular) writer->regular = entry + span;
    else if (entry < writer->regular) writer->regular = entry;
}

/* Vectors go to carquet a slice at a time, so that neither they nor their levels are copied as a whole. */
static carquet_status_t write_vectors(cl_part_writer *writer, const cl_row *rows, int64_t count) {
    int64_t length = writer->length;
    carquet_status_t status = CARQUET_OK;
    for (int64_t i = 0; i < count && !status;) {
        int64_t entries = 0, numbers = 0;
        const float *values = writer->values;
        for (; i < count && entries + length <= writer->slice; i++) {
            int64_t span = rows[i].vector ? length : 1;
            set_levels(writer, entries, span, rows[i].vector != NULL);
            entries += span;
            if (!rows[i].vector) continue;
            if (writer->slice == length) values = rows[i].vector;
            else memcpy(writer->values + numbers, rows[i].vector, (size_t)length * sizeof *values);
            numbers += length;
        }
        status = carquet_writer_write_batch(writer->parquet, CL_COLUMN_VECTOR, values, entries, writer->definition,
                                            writer->repetition);
    }
    return status;
}

coulis_status cl_part_writer_write(cl_part_writer *writer, const cl_row *rows, int64_t count, coulis_error *error) {
    if (count == 0) return COULIS_OK;
    if (count < 0 || count > INT32_MAX / writer->length)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "'%s': %lld rows are too many for one row group",
                       writer->file.path, (long long)count);
    void *scratch = cl_alloc((size_t)count, sizeof(carquet_byte_array_t));
    int16_t *present = cl_alloc((size_t)count, sizeof *present);
    carquet_status_t status = scratch && present ? CARQUET_OK : CARQUET_ERROR_OUT_OF_MEMORY;
    errno = 0;
    cl_parquet_memory_begin();
    if (!status) status = write_flat(writer->parquet, rows, count, scratch, present);
    if (!status) status = write_vectors(writer, rows, count);
    if (!status) status = write_extra(writer, rows, count, scratch, present);
    if (!status) status = checked(carquet_writer_new_row_group(writer->parquet));
    int number = errno;
    cl_free(scratch);
    cl_free(present);
    if (status) return fail(writer, status, number, error);
    writer->rows += count;
    return COULIS_OK;
}

coulis_status cl_part_writer_mark(cl_part_writer *writer, int64_t number, const char *pca_sha256, coulis_error *error) {
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    cl_parquet_memory_begin();
    carquet_status_t status = carquet_writer_add_metadata(writer->parquet, CL_PART_KEY, text);
    if (!status && pca_sha256) status = carquet_writer_add_metadata(writer->parquet, CL_PCA_KEY, pca_sha256);
    status = checked(status);
    return status ? fail(writer, status, errno, error) : COULIS_OK;
}

/* Writes the footer and flushes; on failure the writer is released. */
static coulis_status seal(cl_part_writer *writer, coulis_error *error) {
    if (!writer->parquet) return COULIS_OK; /* it is sealed */
    errno = 0;
    cl_parquet_memory_begin();
    carquet_status_t problem = checked(carquet_writer_close(writer->parquet));
    int number = errno;
    writer->parquet = NULL;
    coulis_status status = problem ? fail(writer, problem, number, error) : cl_new_file_flush(&writer->file, error);
    if (status) cl_part_writer_abort(writer);
    return status;
}

coulis_status cl_part_writer_seal(cl_part_writer *writer, cl_part_facts *facts, coulis_error *error) {
    coulis_status status = seal(writer, error);
    if (status) return status;
    *facts = (cl_part_facts){.rows = writer->rows, .bytes = writer->file.bytes};
    memcpy(facts->sha256, writer->file.sha256, sizeof facts->sha256);
    return COULIS_OK;
}

coulis_status cl_part_writer_commit(cl_part_writer *writer, coulis_error *error) {
    coulis_status status = seal(writer, error);
    if (status) return status;
    status = cl_new_file_commit(&writer->file, error);
    release(writer);
    return status;
}

void cl_part_writer_flushing(cl_part_writer *writer, cl_flushing flushing) { writer->file.flushing = flushing; }

void cl_part_writer_abort(cl_part_writer *writer) {
    if (!writer) return;
    if (writer->parquet) carquet_writer_abort(writer->parquet);
    cl_new_file_abort(&writer->file);
    release(writer);
}
