/* CSV and TSV with a header: a manifest of paths, labels and further columns. RFC 4180, and what spreadsheets write. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "source/inputs.h"
#include "source/location.h"

#define RECORD_MAX ((size_t)16 << 20) /* bytes of a record: what a quote that is never closed may swallow */
#define COLUMNS_MAX 1000

/* One record: its fields, NUL-terminated, one after the other. */
typedef struct record {
    FILE *stream;
    const char *name; /* of the file */
    int64_t line;
    char separator;
    char *text;
    size_t size, capacity;
    size_t fields[COLUMNS_MAX]; /* where each begins */
    int count;
} record;

static coulis_status put(record *r, int byte, coulis_error *error) {
    if (r->size == r->capacity) {
        size_t capacity = r->capacity * 2 + 256;
        if (capacity > RECORD_MAX)
            return cl_fail(error, COULIS_BAD_DATA, "%s: line %lld: a record is longer than 16 MiB; is a quote missing?",
                           r->name, (long long)r->line);
        char *text = cl_grow(r->text, capacity, 1);
        if (!text) return cl_fail_memory(error, r->name, capacity);
        r->text = text;
        r->capacity = capacity;
    }
    r->text[r->size++] = (char)byte;
    return COULIS_OK;
}

static coulis_status begin_field(record *r, coulis_error *error) {
    if (r->count == COLUMNS_MAX)
        return cl_fail(error, COULIS_BAD_DATA, "%s: line %lld: more than %d columns", r->name, (long long)r->line,
                       COLUMNS_MAX);
    r->fields[r->count++] = r->size;
    return COULIS_OK;
}

static coulis_status fail_read(const record *r, coulis_error *error) {
    return cl_fail(error, COULIS_IO, "%s: cannot be read: %s", r->name, strerror(errno ? errno : EIO));
}

static coulis_status zero_byte(const record *r, coulis_error *error) {
    return cl_fail(error, COULIS_BAD_DATA, "%s: line %lld: a zero byte; save the file as UTF-8", r->name,
                   (long long)r->line);
}

/* A field in quotes, of which the first was read: up to the closing one; doubled quotes stand for one. */
static coulis_status read_quoted(record *r, coulis_error *error) {
    coulis_status status = COULIS_OK;
    while (!status) {
        int byte = getc(r->stream);
        if (byte == EOF && ferror(r->stream)) return fail_read(r, error);
        if (byte == EOF) return cl_fail(error, COULIS_BAD_DATA, "%s: ends within quotes", r->name);
        if (byte == '\0') return zero_byte(r, error);
        if (byte == '"') {
            int after = getc(r->stream);
            if (after != '"') {
                if (after != EOF) ungetc(after, r->stream);
                return COULIS_OK;
            }
        }
        r->line += byte == '\n';
        status = put(r, byte, error);
    }
    return status;
}

/* The next record; count 0 at the end of the file, one empty field for an empty line. */
static coulis_status read_record(record *r, coulis_error *error) {
    r->size = 0;
    r->count = 0;
    int byte = getc(r->stream);
    if (byte == EOF) return ferror(r->stream) ? fail_read(r, error) : COULIS_OK;
    r->line++;
    coulis_status status = begin_field(r, error);
    for (bool at_start = true; !status; byte = getc(r->stream)) {
        if (byte == EOF && ferror(r->stream)) return fail_read(r, error);
        if (byte == EOF || byte == '\n') break;
        if (byte == '\0') return zero_byte(r, error);
        if (byte == '"' && at_start) {
            status = read_quoted(r, error);
            at_start = false;
        } else if (byte == r->separator) {
            status = put(r, '\0', error);
            if (!status) status = begin_field(r, error);
            at_start = true;
        } else {
            if (byte == '\r') {
                int after = getc(r->stream);
                if (after != EOF) ungetc(after, r->stream);
                if (after == '\n' || after == EOF) continue;
            }
            status = put(r, byte, error);
            at_start = false;
        }
    }
    return status ? status : put(r, '\0', error);
}

/* What separates the columns: a tab in a .tsv; else a comma, or whichever of ; and tab the header has when it has no
 * comma. */
static char separator_of(record *r) {
    char line[4096];
    size_t length = strlen(r->name);
    if (length > 4 && strcasecmp(r->name + length - 4, ".tsv") == 0) return '\t';
    line[0] = '\0';
    if (!fgets(line, sizeof line, r->stream)) line[0] = '\0';
    rewind(r->stream);
    return strchr(line, ',') ? ',' : strchr(line, ';') ? ';' : strchr(line, '\t') ? '\t' : ',';
}

static void skip_mark(FILE *stream) {
    char mark[3];
    if (fread(mark, 1, 3, stream) != 3 || memcmp(mark, "\xEF\xBB\xBF", 3) != 0) rewind(stream);
}

typedef struct header {
    int count, path, label; /* -1: none */
    int *column;            /* of each field: the column of the result, -1 for path and label */
} header;

static coulis_status read_header(cl_inputs *inputs, record *r, header *h, coulis_error *error) {
    *h = (header){.path = -1, .label = -1};
    coulis_status status = read_record(r, error);
    if (!status && r->count == 0) status = cl_fail(error, COULIS_MISSING, "%s: is empty", r->name);
    if (status) return status;
    h->count = r->count;
    h->column = cl_alloc((size_t)r->count, sizeof *h->column);
    if (!h->column) return cl_fail_memory(error, r->name, 0);
    for (int i = 0; i < r->count && !status; i++) {
        const char *name = r->text + r->fields[i];
        h->column[i] = -1;
        if (strcasecmp(name, "path") == 0 && h->path < 0) h->path = i;
        else if (strcasecmp(name, "label") == 0 && h->label < 0) h->label = i;
        else status = cl_inputs_column(inputs, name, &h->column[i], error);
    }
    if (!status && h->path < 0)
        status = cl_fail(error, COULIS_BAD_DATA,
                         "%s: has no column 'path' in its first line, which should be a header; the first column is "
                         "called '%.80s'",
                         r->name, r->text + r->fields[0]);
    return status;
}

/* One image: its label, and then a value for each of the result's columns so far. */
static coulis_status append_record(cl_inputs *inputs, const record *r, const header *h, const char **values,
                                   coulis_error *error) {
    const char *path = r->text + r->fields[h->path];
    if (r->count != h->count)
        return cl_fail(error, COULIS_BAD_DATA, "%s: line %lld has %d columns where the header has %d", r->name,
                       (long long)r->line, r->count, h->count);
    if (!*path) return cl_fail(error, COULIS_BAD_DATA, "%s: line %lld has no path", r->name, (long long)r->line);
    for (int i = 0; i <= inputs->column_count; i++) values[i] = NULL;
    if (h->label >= 0) values[0] = r->text + r->fields[h->label];
    for (int i = 0; i < h->count; i++)
        if (h->column[i] >= 0) values[1 + h->column[i]] = r->text + r->fields[i];
    return cl_append_row(inputs, path, values, error);
}

bool cl_is_delimited(const char *name) {
    size_t length = strlen(name);
    return length > 4 && (strcasecmp(name + length - 4, ".csv") == 0 || strcasecmp(name + length - 4, ".tsv") == 0);
}

coulis_status cl_append_delimited(cl_inputs *inputs, const char *path, coulis_error *error) {
    record *r = cl_alloc_zero(1, sizeof *r);
    if (!r) return cl_fail_memory(error, path, sizeof *r);
    r->name = path;
    uint64_t size;
    header h = {0};
    const char **values = NULL;
    const int64_t first = inputs->list.count;
    coulis_status status = cl_location_open(path, &inputs->options, &r->stream, &size, error);
    if (!status) {
        r->separator = separator_of(r);
        skip_mark(r->stream);
        status = read_header(inputs, r, &h, error);
    }
    if (!status && !(values = cl_alloc((size_t)inputs->column_count + 1, sizeof *values)))
        status = cl_fail_memory(error, path, 0);
    while (!status) {
        status = read_record(r, error);
        if (status || r->count == 0) break;
        bool empty = r->count == 1 && r->text[0] == '\0';
        if (!empty) status = append_record(inputs, r, &h, values, error);
    }
    if (r->stream) fclose(r->stream);
    cl_free(r->text);
    cl_free(r);
    cl_free(h.column);
    cl_free(values);
    return status ? status : cl_inputs_grown(inputs, first, path, error);
}
