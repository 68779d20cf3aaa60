/* The items of a source as a manifest: a table of paths for later runs and for Spark. */
#include <carquet/carquet.h>
#include <errno.h>
#include <strings.h>
#include <time.h>

#include "base/files.h"
#include "remote/stand_in.h"
#include "source/item.h"
#include "source/list.h"
#include "source/location.h"
#include "source/path_text.h"
#include "table/parquet_memory.h"

#define GROUP_ROWS 65536

/* Rows that wait to be written. */
typedef struct rows {
    coulis_item *items;
    int64_t count;
    int32_t columns; /* beside path, label, bytes and modified */
} rows;

static void forget(rows *r) {
    for (int64_t i = 0; i < r->count; i++) cl_item_free_texts(&r->items[i]);
    r->count = 0;
}

/* ---- CSV ---- */

static void put_text(FILE *out, const char *text) {
    if (!text) return;
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"') putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void put_time(FILE *out, int64_t modified) {
    if (modified == CL_NO_TIME) return;
    int64_t micros = modified % 1000000;
    if (micros < 0) micros += 1000000;
    time_t seconds = (time_t)((modified - micros) / 1000000);
    struct tm t;
    if (!gmtime_r(&seconds, &t)) return;
    fprintf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min,
            t.tm_sec, (int)micros);
}

static void put_header(FILE *out, const coulis_source *source) {
    fputs("path,label,bytes,modified", out);
    for (int64_t i = 0; i < source->column_count; i++) {
        putc(',', out);
        put_text(out, source->columns[i]);
    }
    putc('\n', out);
}

static void put_rows(FILE *out, const rows *r) {
    for (int64_t i = 0; i < r->count; i++) {
        const coulis_item *item = &r->items[i];
        put_text(out, item->name);
        putc(',', out);
        put_text(out, item->label);
        putc(',', out);
        if (item->bytes >= 0) fprintf(out, "%lld", (long long)item->bytes);
        putc(',', out);
        put_time(out, item->modified);
        for (int32_t c = 0; c < r->columns; c++) {
            putc(',', out);
            put_text(out, item->values ? item->values[c] : NULL);
        }
        putc('\n', out);
    }
}

/* ---- Parquet ---- */

static carquet_writer_t *open_parquet(FILE *out, const coulis_source *source) {
    static const carquet_logical_type_t text = {.id = CARQUET_LOGICAL_STRING};
    static const carquet_logical_type_t when = {.id = CARQUET_LOGICAL_TIMESTAMP,
                                                .params.timestamp = {.unit = CARQUET_TIME_UNIT_MICROS,
                                                                     .is_adjusted_to_utc = true}};
    carquet_error_t problem = CARQUET_ERROR_INIT;
    carquet_writer_options_t options;
    carquet_writer_options_init(&options);
    options.created_by = "coulis " COULIS_VERSION;
    options.row_group_size = INT64_MAX;
    options.async_io = false;
    carquet_schema_t *schema = carquet_schema_create(&problem);
    if (!schema) return NULL;
    const carquet_physical_type_t bytes = CARQUET_PHYSICAL_BYTE_ARRAY, wide = CARQUET_PHYSICAL_INT64;
    int bad = carquet_schema_add_column(schema, "path", bytes, &text, CARQUET_REPETITION_REQUIRED, 0, 0) ||
              carquet_schema_add_column(schema, "label", bytes, &text, CARQUET_REPETITION_REQUIRED, 0, 0) ||
              carquet_schema_add_column(schema, "bytes", wide, NULL, CARQUET_REPETITION_OPTIONAL, 0, 0) ||
              carquet_schema_add_column(schema, "modified", wide, &when, CARQUET_REPETITION_OPTIONAL, 0, 0);
    for (int64_t i = 0; !bad && i < source->column_count; i++)
        bad = carquet_schema_add_column(schema, source->columns[i], bytes, &text, CARQUET_REPETITION_OPTIONAL, 0, 0) !=
              CARQUET_OK;
    carquet_writer_t *writer = bad ? NULL : carquet_writer_create_file(out, schema, &options, &problem);
    carquet_schema_free(schema);
    for (int32_t i = 0; writer && i < 4 + (int32_t)source->column_count; i++)
        if (carquet_writer_set_column_compression(writer, i, CARQUET_COMPRESSION_ZSTD, 1)) bad = 1;
    if (!bad) return writer;
    carquet_writer_abort(writer);
    return NULL;
}

static carquet_byte_array_t bytes_of(const char *text) {
    union {
        const char *given;
        uint8_t *wanted;
    } pointer = {text}; /* carquet does not write there */
    return (carquet_byte_array_t){pointer.wanted, (int32_t)strlen(text)};
}

static carquet_status_t write_group(carquet_writer_t *writer, const rows *r, void *scratch, int16_t *present) {
    carquet_byte_array_t *texts = scratch;
    int64_t *numbers = scratch;
    carquet_status_t status = CARQUET_OK;
    for (int32_t column = 0; column < 4 + r->columns && !status; column++) {
        int64_t filled = 0;
        for (int64_t i = 0; i < r->count; i++) {
            const coulis_item *item = &r->items[i];
            present[i] = 1;
            if (column == 2 || column == 3) {
                const int64_t number = column == 2 ? item->bytes : item->modified;
                present[i] = column == 2 ? number >= 0 : number != CL_NO_TIME;
                if (present[i]) numbers[filled++] = number;
                continue;
            }
            const char *text = column == 0   ? item->name
                               : column == 1 ? (item->label ? item->label : "")
                                             : (item->values ? item->values[column - 4] : NULL);
            present[i] = text != NULL;
            if (text) texts[filled++] = bytes_of(text);
        }
        status = carquet_writer_write_batch(writer, column, scratch, r->count, column < 2 ? NULL : present, NULL);
    }
    return status ? status : carquet_writer_new_row_group(writer);
}

/* ---- both ---- */

/* The next item with texts that are UTF-8; false at the end. */
static coulis_status take(const coulis_source *source, rows *r, bool *more, coulis_error *error) {
    coulis_item item = {.size = sizeof item, .bytes = -1, .modified = CL_NO_TIME};
    coulis_status status = source->next(source->context, &item, error);
    *more = !status && item.name;
    if (!*more) return status;
    if (item.bytes < 0 && !item.now && !cl_location_has_scheme(item.name)) { /* of a list: not looked at so far */
        cl_file_state state;
        status = cl_file_state_at(item.name, &state, error);
        if (status) return status;
        if (state.has_bytes) item.bytes = state.bytes;
        if (state.has_modified) item.modified = state.modified;
    }
    char *name = cl_path_text(item.name), *label = cl_utf8_copy(item.label ? item.label : "");
    item.name = name;
    item.label = label;
    status = name && label ? cl_item_own_texts(&item, source->column_count, error) : cl_fail_memory(error, "a row", 0);
    cl_free(name);
    cl_free(label);
    if (!status) r->items[r->count++] = item;
    return status;
}

/* Of the last call of carquet, which does not notice each time that memory was short. */
static coulis_status fail(const char *path, coulis_error *error) {
    if (cl_parquet_memory_failed()) return cl_fail_memory(error, path, 0);
    return cl_fail(error, COULIS_IO, "%s: cannot be written: %s", path, strerror(errno ? errno : EIO));
}

coulis_status coulis_source_write(coulis_source *source, const char *path, int64_t *items, coulis_error *error) {
    if (!source || !path) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no source or no file given");
    const size_t length = strlen(path);
    const bool csv = length > 4 && strcasecmp(path + length - 4, ".csv") == 0;
    if (!csv && !(length > 8 && strcasecmp(path + length - 8, ".parquet") == 0))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: a list is written to a .parquet or a .csv file", path);
    cl_new_file file;
    cl_stand_in to;
    coulis_status status = cl_stand_in_new(&to, path, true, error);
    if (status) return status;
    status = cl_new_file_begin(&file, to.path, error);
    if (status) return cl_stand_in_end(&to, status, error);
    rows r = {.items = cl_alloc(GROUP_ROWS, sizeof *r.items), .columns = (int32_t)source->column_count};
    void *scratch = cl_alloc(GROUP_ROWS, sizeof(carquet_byte_array_t));
    int16_t *present = cl_alloc(GROUP_ROWS, sizeof *present);
    cl_parquet_memory_begin();
    carquet_writer_t *writer = csv ? NULL : open_parquet(file.stream, source);
    if (!r.items || !scratch || !present || (!csv && !writer) || cl_parquet_memory_failed())
        status = cl_fail_memory(error, path, 0);
    if (!status && csv) put_header(file.stream, source);
    int64_t total = 0;
    for (bool more = true; !status && more;) {
        status = take(source, &r, &more, error);
        if (status || (more && r.count < GROUP_ROWS) || r.count == 0) continue;
        total += r.count;
        errno = 0;
        cl_parquet_memory_begin();
        if (csv) put_rows(file.stream, &r);
        if (csv ? ferror(file.stream)
                : write_group(writer, &r, scratch, present) != CARQUET_OK || cl_parquet_memory_failed())
            status = fail(path, error);
        forget(&r);
    }
    errno = 0;
    cl_parquet_memory_begin();
    if (writer && !status) {
        if (carquet_writer_close(writer) != CARQUET_OK || cl_parquet_memory_failed()) status = fail(path, error);
    } else if (writer) {
        carquet_writer_abort(writer);
    }
    if (!status) status = cl_new_file_commit(&file, error);
    else cl_new_file_abort(&file);
    if (r.items) forget(&r);
    cl_free(r.items);
    cl_free(scratch);
    cl_free(present);
    status = cl_stand_in_put(&to, status, error);
    if (status) return status;
    if (items) *items = total;
    cl_clear(error);
    return COULIS_OK;
}
