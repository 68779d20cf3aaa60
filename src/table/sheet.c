#include "table/sheet.h"

#include <carquet/carquet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "base/files.h"
#include "table/arrow.h"
#include "table/columns.h"
#include "table/parquet_memory.h"
#include "table/part.h"

bool cl_sheet_ends_in(const char *path, const char *ending) {
    const size_t length = strlen(path), end = strlen(ending);
    return length > end && strcasecmp(path + length - end, ending) == 0;
}

uint16_t cl_half(float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00);  /* NaN */
    if (size >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* rounds to 65,536 or more */
    if (size < 0x38800000) {                                  /* below 2^-14: in steps of 2^-24 */
        float shifted = fabsf(number) + 0.5f; /* float32 has steps of 2^-24 there, and rounds ties to even */
        memcpy(&bits, &shifted, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000));
    }
    const uint32_t odd = size >> 13 & 1;
    return (uint16_t)(sign | ((size - 0x38000000 + 0xfff + odd) >> 13));
}

float cl_half_value(uint16_t half) {
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    float size = ldexpf((float)fraction, -24);
    if (exponent == 31) size = fraction ? NAN : INFINITY;
    else if (exponent) size = ldexpf((float)(fraction + 1024), exponent - 25);
    return half & 0x8000 ? -size : size;
}

/* ---- CSV ---------------------------------------------------------------------------- */

static void put(cl_new_file *file, const char *text) { cl_new_file_write(file, text, strlen(text)); }

/* Text that holds a separator, quote or line break goes into quotes, its own quotes doubled. */
static void put_text(cl_new_file *file, const char *text) {
    if (!strpbrk(text, ",\"\r\n")) {
        put(file, text);
        return;
    }
    put(file, "\"");
    for (const char *quote; (quote = strchr(text, '"')); text = quote + 1) {
        cl_new_file_write(file, text, (size_t)(quote - text + 1));
        put(file, "\"");
    }
    put(file, text);
    put(file, "\"");
}

static void put_float(cl_new_file *file, float number, int digits) {
    char text[32];
    snprintf(text, sizeof text, "%.*g", digits, (double)number); /* 9 digits give any float32 again, 5 any float16 */
    if (!isnan(number)) put(file, text);
}

static void put_value(cl_new_file *file, const cl_sheet_column *column, int64_t row) {
    char text[32];
    switch (column->kind) {
    case CL_SHEET_TEXT: {
        const char *value = ((const char *const *)column->values)[row];
        if (value) put_text(file, value);
        break;
    }
    case CL_SHEET_INT64:
        snprintf(text, sizeof text, "%lld", (long long)((const int64_t *)column->values)[row]);
        put(file, text);
        break;
    case CL_SHEET_FLOAT: put_float(file, ((const float *)column->values)[row], 9); break;
    case CL_SHEET_BOOL: put(file, ((const uint8_t *)column->values)[row] ? "true" : "false"); break;
    case CL_SHEET_VECTOR:
    case CL_SHEET_HALVES:
        for (int64_t i = 0; i < column->length; i++) {
            const int64_t at = row * column->length + i;
            if (i) put(file, ",");
            if (column->kind == CL_SHEET_VECTOR) put_float(file, ((const float *)column->values)[at], 9);
            else put_float(file, cl_half_value(((const uint16_t *)column->values)[at]), 5);
        }
        break;
    }
}

static void write_csv(cl_new_file *file, const cl_sheet_column *columns, int32_t count, int64_t rows) {
    for (int32_t c = 0; c < count; c++) {
        const int64_t width = columns[c].kind >= CL_SHEET_VECTOR ? columns[c].length : 1;
        for (int64_t i = 0; i < width; i++) {
            char number[24] = "";
            if (c || i) put(file, ",");
            if (columns[c].kind >= CL_SHEET_VECTOR) snprintf(number, sizeof number, "_%lld", (long long)i);
            put_text(file, columns[c].name);
            put(file, number);
        }
    }
    put(file, "\n");
    for (int64_t r = 0; r < rows; r++) {
        for (int32_t c = 0; c < count; c++) {
            if (c) put(file, ",");
            put_value(file, &columns[c], r);
        }
        put(file, "\n");
    }
}

/* ---- Parquet ------------------------------------------------------------------------ */

static bool is_nullable(cl_sheet_kind kind) { return kind == CL_SHEET_TEXT || kind == CL_SHEET_FLOAT; }

static carquet_status_t add_column(carquet_schema_t *schema, const cl_sheet_column *column) {
    static const carquet_physical_type_t types[] = {[CL_SHEET_TEXT] = CARQUET_PHYSICAL_BYTE_ARRAY,
                                                    [CL_SHEET_INT64] = CARQUET_PHYSICAL_INT64,
                                                    [CL_SHEET_FLOAT] = CARQUET_PHYSICAL_FLOAT,
                                                    [CL_SHEET_BOOL] = CARQUET_PHYSICAL_BOOLEAN};
    static const carquet_logical_type_t text = {.id = CARQUET_LOGICAL_STRING}, half = {.id = CARQUET_LOGICAL_FLOAT16};
    if (column->kind >= CL_SHEET_VECTOR) {
        const bool halves = column->kind == CL_SHEET_HALVES;
        return carquet_schema_add_list(schema, column->name,
                                       halves ? CARQUET_PHYSICAL_FIXED_LEN_BYTE_ARRAY : CARQUET_PHYSICAL_FLOAT,
                                       halves ? &half : NULL, CARQUET_REPETITION_REQUIRED, halves ? 2 : 0, 0) < 0
                   ? CARQUET_ERROR_OUT_OF_MEMORY
                   : CARQUET_OK;
    }
    return carquet_schema_add_column(
        schema, column->name, types[column->kind], column->kind == CL_SHEET_TEXT ? &text : NULL,
        is_nullable(column->kind) ? CARQUET_REPETITION_OPTIONAL : CARQUET_REPETITION_REQUIRED, 0, 0);
}

/* What one column of a row group takes. */
typedef struct room {
    carquet_byte_array_t *texts;
    float *floats;
    int16_t *definition, *repetition;
} room;

/* Texts and floats that may be null: the present ones without gaps, and a level for each row. */
static carquet_status_t write_nullable(carquet_writer_t *parquet, int32_t number, const cl_sheet_column *column,
                                       int64_t first, int64_t count, const room *r) {
    int64_t present = 0;
    for (int64_t i = 0; i < count; i++) {
        if (column->kind == CL_SHEET_TEXT) {
            union {
                const char *given;
                uint8_t *wanted;
            } text = {((const char *const *)column->values)[first + i]};
            r->definition[i] = text.given ? 1 : 0;
            if (text.given) r->texts[present++] = (carquet_byte_array_t){text.wanted, (int32_t)strlen(text.given)};
        } else {
            const float value = ((const float *)column->values)[first + i];
            r->definition[i] = (int16_t)!isnan(value);
            if (!isnan(value)) r->floats[present++] = value;
        }
    }
    const void *values = column->kind == CL_SHEET_TEXT ? (const void *)r->texts : r->floats;
    return carquet_writer_write_batch(parquet, number, values, count, r->definition, NULL);
}

/* One row group of one column. A list's levels: 1 where there is a number (the list is always there, its elements are
 * not null), or as deep as carquet's schema says; 0 for the first number of a row, 1 for the others. */
static carquet_status_t write_column(carquet_writer_t *parquet, int32_t number, const cl_sheet_column *column,
                                     int64_t first, int64_t count, int16_t depth, const room *r) {
    switch (column->kind) {
    case CL_SHEET_INT64:
        return carquet_writer_write_batch(parquet, number, (const int64_t *)column->values + first, count, NULL, NULL);
    case CL_SHEET_BOOL:
        return carquet_writer_write_batch(parquet, number, (const uint8_t *)column->values + first, count, NULL, NULL);
    case CL_SHEET_VECTOR:
    case CL_SHEET_HALVES: {
        const int64_t length = column->length, numbers = count * length;
        const void *values = column->kind == CL_SHEET_VECTOR
                                 ? (const void *)((const float *)column->values + first * length)
                                 : (const void *)((const uint16_t *)column->values + first * length);
        for (int64_t i = 0; i < numbers; i++) {
            r->definition[i] = depth;
            r->repetition[i] = i % length ? 1 : 0;
        }
        return carquet_writer_write_batch(parquet, number, values, numbers, r->definition, r->repetition);
    }
    default: return write_nullable(parquet, number, column, first, count, r);
    }
}

static carquet_status_t write_groups(carquet_writer_t *parquet, const carquet_schema_t *schema,
                                     const cl_sheet_column *columns, int32_t column_count, int64_t rows) {
    int64_t length = 1;
    for (int32_t c = 0; c < column_count; c++)
        if (columns[c].kind >= CL_SHEET_VECTOR && columns[c].length > length) length = columns[c].length;
    const int64_t height = cl_row_group_rows(length), numbers = height * length;
    room r = {.texts = cl_alloc((size_t)height, sizeof *r.texts),
              .floats = cl_alloc((size_t)height, sizeof *r.floats),
              .definition = cl_alloc((size_t)numbers, sizeof *r.definition),
              .repetition = cl_alloc((size_t)numbers, sizeof *r.repetition)};
    carquet_status_t status = CARQUET_OK;
    if (!r.texts || !r.floats || !r.definition || !r.repetition) status = CARQUET_ERROR_OUT_OF_MEMORY;
    for (int64_t first = 0; first < rows && !status; first += height) {
        const int64_t count = rows - first < height ? rows - first : height;
        for (int32_t c = 0; c < column_count && !status; c++)
            status = write_column(parquet, c, &columns[c], first, count, carquet_schema_max_def_level(schema, c), &r);
        if (!status) status = carquet_writer_new_row_group(parquet);
    }
    cl_free(r.texts);
    cl_free(r.floats);
    cl_free(r.definition);
    cl_free(r.repetition);
    return status;
}

/* What Parquet itself cannot say, for readers that are built on Arrow; others pass it over. */
static carquet_status_t add_arrow_schema(carquet_writer_t *parquet, const cl_sheet_column *columns, int32_t count) {
    bool fixed = false;
    for (int32_t c = 0; c < count; c++) fixed |= columns[c].fixed != 0;
    if (!fixed) return CARQUET_OK;
    char *schema = cl_arrow_schema(columns, count);
    const carquet_status_t status = schema ? carquet_writer_add_metadata(parquet, CL_ARROW_KEY, schema)
                                           : CARQUET_ERROR_OUT_OF_MEMORY;
    cl_free(schema);
    return status;
}

static coulis_status write_parquet(cl_new_file *file, const cl_sheet_column *columns, int32_t count, int64_t rows,
                                   const char *recipe, coulis_error *error) {
    carquet_error_t problem = CARQUET_ERROR_INIT;
    carquet_writer_options_t options;
    cl_parquet_memory_begin();
    carquet_writer_options_init(&options);
    options.created_by = "coulis " COULIS_VERSION;
    options.row_group_size = INT64_MAX;
    options.async_io = false;
    options.compression = CARQUET_COMPRESSION_ZSTD;
    carquet_schema_t *schema = carquet_schema_create(&problem);
    carquet_writer_t *parquet = NULL;
    carquet_status_t status = schema ? CARQUET_OK : CARQUET_ERROR_OUT_OF_MEMORY;
    for (int32_t c = 0; c < count && !status; c++) status = add_column(schema, &columns[c]);
    errno = 0;
    if (!status) {
        parquet = carquet_writer_create_file(file->stream, schema, &options, &problem);
        if (!parquet) status = problem.code;
    }
    if (!status && recipe) status = carquet_writer_add_metadata(parquet, CL_RECIPE_KEY, recipe);
    if (!status) status = add_arrow_schema(parquet, columns, count);
    if (!status) status = write_groups(parquet, schema, columns, count, rows);
    if (!status) {
        status = carquet_writer_close(parquet);
        parquet = NULL;
    }
    const int number = errno;
    if (parquet) carquet_writer_abort(parquet);
    if (schema) carquet_schema_free(schema);
    if (cl_parquet_memory_failed()) status = CARQUET_ERROR_OUT_OF_MEMORY; /* which carquet may not have noticed */
    if (status == CARQUET_OK) return COULIS_OK;
    if (status == CARQUET_ERROR_OUT_OF_MEMORY)
        return cl_fail(error, COULIS_NO_MEMORY, "%s: out of memory while writing", file->path);
    if (status == CARQUET_ERROR_FILE_WRITE)
        return cl_fail(error, COULIS_IO, "%s: cannot be written: %s", file->path,
                       number ? strerror(number) : "the write was refused");
    return cl_fail(error, COULIS_INTERNAL, "%s: cannot be written: %s", file->path, carquet_status_string(status));
}

coulis_status cl_sheet_write(const char *path, const cl_sheet_column *columns, int32_t column_count, int64_t rows,
                             const char *recipe, coulis_error *error) {
    const bool csv = cl_sheet_ends_in(path, ".csv");
    if (!csv && !cl_sheet_ends_in(path, ".parquet"))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: the name must end in .parquet or .csv", path);
    cl_new_file file;
    coulis_status status = cl_new_file_begin(&file, path, error);
    if (status) return status;
    if (csv) write_csv(&file, columns, column_count, rows);
    else status = write_parquet(&file, columns, column_count, rows, recipe, error);
    if (!status) return cl_new_file_commit(&file, error);
    cl_new_file_abort(&file);
    return status;
}
