/* JSON lines: a manifest of paths, labels and further columns, a JSON object (RFC 8259) in each line. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "base/json.h"
#include "source/columns.h"
#include "source/inputs.h"
#include "source/location.h"

#define LINE_MAX_BYTES ((size_t)16 << 20)
#define PATH_SLOT (-1)
#define LABEL_SLOT 0
/* From here on not every whole number is a float64, which is what JSON's numbers are read as. */
#define ROUNDED_FROM 0x1p53
#define NUMBER_BYTES 32

typedef struct manifest {
    FILE *stream;
    const char *name; /* of the file */
    int64_t line;
    char *text; /* of the line, without its end */
    size_t size, capacity;
    char **keys; /* seen so far */
    int *slots;  /* of each: PATH_SLOT, LABEL_SLOT, or 1 + its column of the result */
    int key_count, next_key;
    const char **values; /* of the line's image, by slot */
    char (*numbers)[NUMBER_BYTES];
    int value_count;
} manifest;

static coulis_status bad(const manifest *m, const char *what, coulis_error *error) {
    return cl_fail(error, COULIS_BAD_DATA, "%s: line %lld %s", m->name, (long long)m->line, what);
}

/* *end: there was none any more. */
static coulis_status read_line(manifest *m, bool *end, coulis_error *error) {
    int byte = getc(m->stream);
    m->size = 0;
    m->line++;
    *end = byte == EOF;
    for (; byte != EOF && byte != '\n'; byte = getc(m->stream)) {
        if (m->size == m->capacity) {
            const size_t capacity = m->capacity * 2 + 256;
            if (capacity > LINE_MAX_BYTES) return bad(m, "is longer than 16 MiB; is this a file of JSON lines?", error);
            char *text = cl_grow(m->text, capacity, 1);
            if (!text) return cl_fail_memory(error, m->name, capacity);
            m->text = text;
            m->capacity = capacity;
        }
        m->text[m->size++] = (char)byte;
    }
    if (!ferror(m->stream)) return COULIS_OK;
    return cl_fail(error, COULIS_IO, "%s: cannot be read: %s", m->name, strerror(errno ? errno : EIO));
}

/* A zero byte, or one written as \u0000, would end a text of C. */
static bool has_zero(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\0') return true;
        if (text[i] != '\\') continue;
        if (size - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0) return true;
        i++; /* what is escaped */
    }
    return false;
}

static bool is_blank(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r", text[i]) || text[i] == '\0') return false;
    return true;
}

/* Room for the values of all columns. */
static coulis_status make_room(const cl_inputs *inputs, manifest *m, coulis_error *error) {
    const int count = 1 + inputs->column_count;
    if (count <= m->value_count) return COULIS_OK;
    const char **values = cl_grow(m->values, (size_t)count, sizeof *values);
    if (values) m->values = values;
    char (*numbers)[NUMBER_BYTES] = cl_grow(m->numbers, (size_t)count, sizeof *numbers);
    if (numbers) m->numbers = numbers;
    if (!values || !numbers) return cl_fail_memory(error, m->name, 0);
    while (m->value_count < count) m->values[m->value_count++] = NULL;
    return COULIS_OK;
}

static coulis_status add_key(cl_inputs *inputs, manifest *m, const char *key, int *slot, coulis_error *error) {
    if (m->key_count == CL_COLUMNS_MAX + 2)
        return cl_fail(error, COULIS_BAD_DATA, "%s: line %lld: more than %d different keys", m->name,
                       (long long)m->line, CL_COLUMNS_MAX + 2);
    char **keys = cl_grow(m->keys, (size_t)m->key_count + 1, sizeof *keys);
    if (keys) m->keys = keys;
    int *slots = cl_grow(m->slots, (size_t)m->key_count + 1, sizeof *slots);
    if (slots) m->slots = slots;
    if (!keys || !slots || !(keys[m->key_count] = cl_strdup(key))) return cl_fail_memory(error, m->name, 0);
    const int number = m->key_count++;
    coulis_status status = COULIS_OK;
    if (strcasecmp(key, "path") == 0) {
        *slot = PATH_SLOT;
    } else if (strcasecmp(key, "label") == 0) {
        *slot = LABEL_SLOT;
    } else {
        int column = 0;
        status = cl_inputs_column(inputs, key, &column, error);
        *slot = 1 + column;
    }
    slots[number] = *slot;
    return status ? status : make_room(inputs, m, error);
}

/* Most lines have the same keys in the same order: the one behind the last is looked at first. */
static coulis_status find_slot(cl_inputs *inputs, manifest *m, const char *key, int *slot, coulis_error *error) {
    for (int i = 0; i < m->key_count; i++) {
        const int k = (m->next_key + i) % m->key_count;
        if (strcmp(m->keys[k], key) != 0) continue;
        *slot = m->slots[k];
        m->next_key = k + 1;
        return COULIS_OK;
    }
    return add_key(inputs, m, key, slot, error);
}

/* A value as a text, which for a number is put into `number`; NULL for null. */
static coulis_status text_of(const manifest *m, cJSON *item, char *number, const char **text, coulis_error *error) {
    *text = cJSON_IsString(item)  ? item->valuestring
            : cJSON_IsTrue(item)  ? "true"
            : cJSON_IsFalse(item) ? "false"
                                  : NULL;
    if (!cJSON_IsNumber(item)) return COULIS_OK;
    if (!(fabs(item->valuedouble) < ROUNDED_FROM))
        return cl_fail(error, COULIS_BAD_DATA,
                       "%s: line %lld: the number of '%.80s' is so large that it would be rounded; write it in quotes",
                       m->name, (long long)m->line, item->string);
    if (!cJSON_PrintPreallocated(item, number, NUMBER_BYTES, 0)) return cl_fail_memory(error, m->name, NUMBER_BYTES);
    *text = number;
    return COULIS_OK;
}

static bool is_nested(const cJSON *item) { return cJSON_IsObject(item) || cJSON_IsArray(item); }

/* The image of one line. */
static coulis_status append_object(cl_inputs *inputs, manifest *m, const cJSON *object, coulis_error *error) {
    const char *path = NULL;
    coulis_status status = make_room(inputs, m, error);
    int slot = 0;
    /* All keys first: with a new one the numbers, to which values point, move elsewhere. */
    for (cJSON *item = object->child; item && !status; item = item->next)
        if (!is_nested(item)) status = find_slot(inputs, m, item->string, &slot, error);
    for (int i = 0; i < m->value_count; i++) m->values[i] = NULL;
    for (cJSON *item = object->child; item && !status; item = item->next) {
        if (is_nested(item)) continue;
        status = find_slot(inputs, m, item->string, &slot, error);
        if (status) break;
        if (slot == PATH_SLOT) path = cJSON_IsString(item) ? item->valuestring : NULL;
        else status = text_of(m, item, m->numbers[slot], &m->values[slot], error);
    }
    if (status) return status;
    if (!path || !*path) return bad(m, "has no path: a text under the key 'path'", error);
    return cl_append_row(inputs, path, m->values, error);
}

static coulis_status append_line(cl_inputs *inputs, manifest *m, coulis_error *error) {
    const char *text = m->text;
    size_t size = m->size;
    if (m->line == 1 && size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { /* a byte-order mark */
        text += 3;
        size -= 3;
    }
    if (is_blank(text, size)) return COULIS_OK;
    if (has_zero(text, size)) return bad(m, "has a zero byte; save the file as UTF-8", error);
    const char *end;
    bool short_of_memory;
    cJSON *json = cl_json_parse(text, size, &end, &short_of_memory);
    if (short_of_memory) return cl_fail_memory(error, m->name, size);
    coulis_status status = COULIS_OK;
    if (cJSON_IsObject(json) && is_blank(end, size - (size_t)(end - text)))
        status = append_object(inputs, m, json, error);
    else status = bad(m, "is not a JSON object, such as {\"path\": \"a/b.jpg\", \"label\": \"a\"}", error);
    cJSON_Delete(json);
    return status;
}

bool cl_is_json_lines(const char *name) {
    const size_t length = strlen(name);
    return (length > 6 && strcasecmp(name + length - 6, ".jsonl") == 0) ||
           (length > 7 && strcasecmp(name + length - 7, ".ndjson") == 0);
}

coulis_status cl_append_json_lines(cl_inputs *inputs, const char *path, coulis_error *error) {
    manifest m = {.name = path};
    uint64_t size;
    bool end = false;
    const int64_t first = inputs->list.count;
    coulis_status status = cl_location_open(path, &inputs->options, &m.stream, &size, error);
    while (!status) {
        status = read_line(&m, &end, error);
        if (status || end) break;
        status = append_line(inputs, &m, error);
    }
    if (m.stream) fclose(m.stream);
    for (int i = 0; i < m.key_count; i++) cl_free(m.keys[i]);
    cl_free(m.keys);
    cl_free(m.slots);
    cl_free(m.values);
    cl_free(m.numbers);
    cl_free(m.text);
    return status ? status : cl_inputs_grown(inputs, first, path, error);
}
