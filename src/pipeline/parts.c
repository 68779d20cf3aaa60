#include "pipeline/parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/files.h"

/* Some 150 bytes for each part: more than any result has. */
#define JOURNAL_MAX ((int64_t)1 << 30)

static const char *const folders[] = {"features", "reduced"};

void cl_part_name(cl_kind kind, int64_t number, char name[CL_PART_NAME]) {
    if (kind == CL_KIND_PCA) snprintf(name, CL_PART_NAME, "pca.safetensors");
    else snprintf(name, CL_PART_NAME, "%s/part-%05lld.parquet", folders[kind], (long long)number);
}

bool cl_part_name_read(const char *name, cl_kind *kind, int64_t *number) {
    static const cl_kind kinds[] = {CL_KIND_FEATURES, CL_KIND_REDUCED, CL_KIND_PCA};
    const char *digits = strrchr(name, '-');
    long long value = digits ? strtoll(digits + 1, NULL, 10) : 0;
    if (value < 0 || value > INT32_MAX) return false;
    for (int i = 0; i < 3; i++) { /* written again, it must be the same */
        char expected[CL_PART_NAME];
        cl_part_name(kinds[i], value, expected);
        if (strcmp(expected, name) != 0) continue;
        *kind = kinds[i];
        *number = value;
        return true;
    }
    return false;
}

/* The place of a record, or where it belongs. */
static int64_t place_of(const cl_parts *parts, cl_kind kind, int64_t number, bool *found) {
    int64_t low = 0, high = parts->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        const cl_part_record *r = &parts->records[middle];
        if (r->kind < kind || (r->kind == kind && r->number < number)) low = middle + 1;
        else high = middle;
    }
    *found = low < parts->count && parts->records[low].kind == kind && parts->records[low].number == number;
    return low;
}

const cl_part_record *cl_parts_find(const cl_parts *parts, cl_kind kind, int64_t number) {
    bool found;
    int64_t place = place_of(parts, kind, number, &found);
    return found ? &parts->records[place] : NULL;
}

coulis_status cl_parts_add(cl_parts *parts, const cl_part_record *record, coulis_error *error) {
    bool found;
    int64_t place = place_of(parts, record->kind, record->number, &found);
    if (!found) {
        if (parts->count == parts->capacity) {
            int64_t capacity = parts->capacity * 2 + 64;
            cl_part_record *grown = cl_grow(parts->records, (size_t)capacity, sizeof *grown);
            if (!grown) return cl_fail_memory(error, "the list of parts", (size_t)capacity * sizeof *grown);
            parts->records = grown;
            parts->capacity = capacity;
        }
        memmove(parts->records + place + 1, parts->records + place,
                (size_t)(parts->count - place) * sizeof *parts->records);
        parts->count++;
    }
    parts->records[place] = *record;
    return COULIS_OK;
}

void cl_parts_forget(cl_parts *parts, cl_kind kind) {
    int64_t kept = 0;
    for (int64_t i = 0; i < parts->count; i++)
        if (parts->records[i].kind != kind) parts->records[kept++] = parts->records[i];
    parts->count = kept;
}

/* ---- as JSON ---- */

static bool read_count(const cJSON *object, const char *name, int64_t *count) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < 0x1p53)) return false;
    *count = (int64_t)item->valuedouble;
    return true;
}

static bool read_digest(const cJSON *object, char sha256[CL_SHA256_TEXT]) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "sha256"));
    if (!text || strlen(text) != CL_SHA256_TEXT - 1) return false;
    memcpy(sha256, text, CL_SHA256_TEXT);
    return true;
}

static bool read_record(const cJSON *object, cl_part_record *record) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "name"));
    return name && cl_part_name_read(name, &record->kind, &record->number) &&
           read_count(object, "rows", &record->facts.rows) && read_count(object, "bytes", &record->facts.bytes) &&
           read_digest(object, record->facts.sha256);
}

static cJSON *record_json(const cl_part_record *record) {
    char name[CL_PART_NAME];
    cl_part_name(record->kind, record->number, name);
    cJSON *object = cJSON_CreateObject();
    if (object && cJSON_AddStringToObject(object, "name", name) &&
        cJSON_AddNumberToObject(object, "rows", (double)record->facts.rows) &&
        cJSON_AddNumberToObject(object, "bytes", (double)record->facts.bytes) &&
        cJSON_AddStringToObject(object, "sha256", record->facts.sha256))
        return object;
    cJSON_Delete(object);
    return NULL;
}

cJSON *cl_parts_json(const cl_parts *parts, bool features) {
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; array && i < parts->count; i++) {
        const cl_part_record *record = &parts->records[i];
        if (record->kind == CL_KIND_PCA || (record->kind == CL_KIND_FEATURES && !features)) continue;
        cJSON *object = record_json(record);
        if (object && cJSON_AddItemToArray(array, object)) continue;
        cJSON_Delete(object);
        cJSON_Delete(array);
        return NULL;
    }
    return array;
}

coulis_status cl_parts_add_summary(cl_parts *parts, const cJSON *summary, coulis_error *error) {
    coulis_status status = COULIS_OK;
    const cJSON *item, *pca = cJSON_GetObjectItemCaseSensitive(summary, "pca");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(summary, "parts")) {
        cl_part_record record;
        if (!status && !read_record(item, &record))
            status = cl_fail(error, COULIS_BAD_DATA, "%s/run.json: an entry of its parts is damaged", parts->folder);
        if (!status) status = cl_parts_add(parts, &record, error);
    }
    cl_part_record record = {.kind = CL_KIND_PCA};
    if (!status && read_count(pca, "components", &record.facts.rows) && read_count(pca, "bytes", &record.facts.bytes) &&
        read_digest(pca, record.facts.sha256))
        status = cl_parts_add(parts, &record, error);
    return status;
}

/* ---- the journal ---- */

/* A line that does not parse was cut off by a kill or a loss of power: it was never flushed, so nothing needs it. */
static coulis_status read_journal(cl_parts *parts, char *text, coulis_error *error) {
    coulis_status status = COULIS_OK;
    for (char *line = text, *end; !status && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        cJSON *object = cJSON_Parse(line);
        cl_part_record record;
        if (read_record(object, &record)) status = cl_parts_add(parts, &record, error);
        cJSON_Delete(object);
    }
    return status;
}

coulis_status cl_parts_open(const char *folder, cl_parts *parts, coulis_error *error) {
    *parts = (cl_parts){.descriptor = -1, .folder = cl_strdup(folder)};
    parts->journal = cl_format("%s/.parts.jsonl", folder);
    if (!parts->folder || !parts->journal) return cl_fail_memory(error, "a path", strlen(folder));
    uint8_t *text;
    size_t size;
    coulis_status status = cl_file_read(parts->journal, JOURNAL_MAX, &text, &size, error);
    if (status == COULIS_MISSING) return COULIS_OK;
    if (status) return status;
    status = read_journal(parts, (char *)text, error);
    cl_free(text);
    return status;
}

void cl_parts_close(cl_parts *parts) {
    if (parts->folder && parts->descriptor >= 0) cl_close(parts->descriptor);
    cl_free(parts->folder);
    cl_free(parts->journal);
    cl_free(parts->records);
    *parts = (cl_parts){.descriptor = -1};
}

static coulis_status fail_journal(const cl_parts *parts, coulis_error *error) {
    return cl_fail(error, COULIS_IO, "cannot write '%s': %s", parts->journal, strerror(errno ? errno : EIO));
}

static coulis_status open_journal(cl_parts *parts, coulis_error *error) {
    if (parts->descriptor >= 0) return COULIS_OK;
    bool is_new = !cl_path_exists(parts->journal);
    parts->descriptor = cl_open_to_append(parts->journal);
    if (parts->descriptor < 0) return fail_journal(parts, error);
    return is_new ? cl_flush_folder(parts->folder, error) : COULIS_OK;
}

static coulis_status write_down(cl_parts *parts, const cl_part_record *record, bool flush, coulis_error *error) {
    cJSON *object = record_json(record);
    char *printed = object ? cJSON_PrintUnformatted(object) : NULL;
    char *line = printed ? cl_format("%s\n", printed) : NULL;
    cJSON_free(printed);
    cJSON_Delete(object);
    if (!line) return cl_fail_memory(error, "the record of a part", 0);
    coulis_status status = open_journal(parts, error);
    if (!status && (!cl_append(parts->descriptor, line, strlen(line)) || (flush && !cl_flush(parts->descriptor))))
        status = fail_journal(parts, error);
    cl_free(line);
    return status ? status : cl_parts_add(parts, record, error);
}

coulis_status cl_parts_promise(cl_parts *parts, const cl_part_record *record, coulis_error *error) {
    return write_down(parts, record, true, error);
}

coulis_status cl_parts_note(cl_parts *parts, const cl_part_record *record, coulis_error *error) {
    return write_down(parts, record, false, error);
}

coulis_status cl_parts_commit(cl_parts *parts, cl_kind kind, int64_t number, const char *pca_sha256,
                              cl_part_writer *writer, coulis_error *error) {
    cl_part_record record = {.kind = kind, .number = number};
    coulis_status status = cl_part_writer_mark(writer, number, pca_sha256, error);
    if (!status) {
        status = cl_part_writer_seal(writer, &record.facts, error);
        if (status) return status; /* the writer is gone */
        status = write_down(parts, &record, kind == CL_KIND_FEATURES, error);
        if (kind != CL_KIND_FEATURES) cl_part_writer_flushing(writer, CL_FLUSH_CONTENT);
    }
    if (!status) {
        status = cl_part_writer_commit(writer, error);
        return status ? status : cl_parts_tell(parts, &record, error);
    }
    cl_part_writer_abort(writer);
    return status;
}

coulis_status cl_parts_tell(const cl_parts *parts, const cl_part_record *record, coulis_error *error) {
    return parts->named ? parts->named(parts->context, parts, record, error) : COULIS_OK;
}

coulis_status cl_parts_end(cl_parts *parts, coulis_error *error) {
    if (parts->descriptor >= 0) cl_close(parts->descriptor);
    parts->descriptor = -1;
    return cl_remove(parts->journal, error);
}
