#include "pipeline/bucket.h"

#include "base/files.h"
#include "base/json.h"

#define RUN_JSON_MAX ((int64_t)256 << 20)

/* What S3 says of one object is here said of the result. */
static coulis_status whole(coulis_status status, coulis_error *error) {
    if (!status || status >= COULIS_INVALID_ARGUMENT) return status;
    if (error) error->status = COULIS_IO;
    return COULIS_IO;
}

static char *address_of(const cl_bucket *b, const char *name) { return cl_format("%s/%s", b->address, name); }

static coulis_status no_memory(const cl_bucket *b, coulis_error *error) {
    return cl_fail_memory(error, b->address, strlen(b->address));
}

/* The content of run.json; NULL when there is none. */
static coulis_status read_run(cl_bucket *b, char **text, coulis_error *error) {
    char *name = address_of(b, "run.json");
    uint8_t *bytes = NULL;
    size_t size = 0;
    *text = NULL;
    if (!name) return no_memory(b, error);
    coulis_status status = cl_remote_read(b->remote, name, RUN_JSON_MAX, &bytes, &size, NULL, error);
    cl_free(name);
    if (status == COULIS_MISSING) return COULIS_OK;
    if (!status) {
        *text = cl_alloc(size + 1, 1);
        if (!*text) status = no_memory(b, error);
        else memcpy(*text, bytes, size);
        if (*text) (*text)[size] = '\0';
        cl_free(bytes);
    }
    return whole(status, error);
}

coulis_status cl_bucket_look(cl_bucket *b, coulis_error *error) {
    b->there = (cl_parts){.descriptor = -1, .folder = cl_strdup(b->address)};
    if (!b->there.folder) return no_memory(b, error);
    coulis_status status = read_run(b, &b->run, error);
    if (status || !b->run) return status;
    cJSON *run = cJSON_Parse(b->run);
    if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(run, "recipe")))
        status = cl_fail(error, COULIS_CONFLICT,
                         "%s/run.json: is in the way, and coulis did not write it; move it "
                         "elsewhere",
                         b->address);
    else status = cl_parts_add_summary(&b->there, run, error);
    cJSON_Delete(run);
    return status;
}

/* Whether run.json is still the one that was last read or written here. */
static coulis_status must_be_ours(cl_bucket *b, coulis_error *error) {
    char *now = NULL;
    coulis_status status = read_run(b, &now, error);
    if (!status && (now && b->run ? strcmp(now, b->run) != 0 : now != b->run))
        status = cl_fail(error, COULIS_CONFLICT, "%s: another coulis has been at work there meanwhile", b->address);
    cl_free(now);
    return status;
}

/* ---- what is below the address ---- */

typedef struct visit {
    cl_bucket *bucket;
    size_t below; /* bytes of a key up to what is below the address */
    bool ours;    /* take only names that a result has */
    char **found; /* names to be removed */
    size_t count, capacity;
} visit;

static coulis_status stands_in_the_way(void *context, const cl_remote_object *object, coulis_error *error) {
    const visit *v = context;
    const char *name = object->key + v->below;
    cl_kind kind;
    int64_t number;
    if (v->ours && !cl_part_name_read(name, &kind, &number)) return COULIS_OK;
    if (v->ours)
        return cl_fail(error, COULIS_CONFLICT, "%s/%s: is in the way, and coulis did not write it; move it elsewhere",
                       v->bucket->address, name);
    return cl_fail(error, COULIS_CONFLICT,
                   "%s: is not empty and holds no result of coulis; name another prefix, or add --overwrite, which "
                   "removes nothing but results of coulis",
                   v->bucket->address);
}

static coulis_status collect(void *context, const cl_remote_object *object, coulis_error *error) {
    visit *v = context;
    const char *name = object->key + v->below;
    cl_kind kind;
    int64_t number;
    if (!cl_part_name_read(name, &kind, &number) || cl_parts_find(&v->bucket->there, kind, number)) return COULIS_OK;
    if (v->count == v->capacity) {
        const size_t capacity = v->capacity * 2 + 64;
        char **grown = cl_grow(v->found, capacity, sizeof *grown);
        if (!grown) return cl_fail_memory(error, "a list of objects", capacity * sizeof *grown);
        v->found = grown;
        v->capacity = capacity;
    }
    v->found[v->count] = address_of(v->bucket, name);
    return v->found[v->count++] ? COULIS_OK : no_memory(v->bucket, error);
}

static coulis_status walk(visit *v, int64_t limit,
                          coulis_status (*each)(void *, const cl_remote_object *, coulis_error *),
                          coulis_error *error) {
    const char *bucket = strstr(v->bucket->address, "://") + 3, *slash = strchr(bucket, '/');
    v->below = slash ? strlen(slash) : 0; /* the slash at its end for the one that is not part of a key */
    char *folder = address_of(v->bucket, "");
    if (!folder) return no_memory(v->bucket, error);
    coulis_status status = cl_remote_list(v->bucket->remote, folder, limit, each, v, error);
    cl_free(folder);
    return whole(status, error);
}

coulis_status cl_bucket_must_be_empty(cl_bucket *b, bool ours, coulis_error *error) {
    visit v = {.bucket = b, .ours = ours};
    return walk(&v, ours ? 0 : 1, stands_in_the_way, error);
}

coulis_status cl_bucket_sweep(cl_bucket *b, coulis_error *error) {
    visit v = {.bucket = b};
    coulis_status status = walk(&v, 0, collect, error);
    if (!status && v.count > 0) status = must_be_ours(b, error);
    for (size_t i = 0; i < v.count; i++) {
        if (!status) status = whole(cl_remote_delete(b->remote, v.found[i], error), error);
        cl_free(v.found[i]);
    }
    cl_free(v.found);
    return status;
}

/* ---- files ---- */

coulis_status cl_bucket_fetch(cl_bucket *b, const cl_part_record *record, const char *to, cl_new_file *file, bool *good,
                              coulis_error *error) {
    char name[CL_PART_NAME];
    cl_part_name(record->kind, record->number, name);
    char *from = address_of(b, name);
    *good = false;
    if (!from) return no_memory(b, error);
    coulis_status status = cl_new_file_begin(file, to, error);
    if (!status) {
        status = cl_remote_copy(b->remote, from, file, error);
        if (status) cl_new_file_abort(file);
        else status = cl_new_file_flush(file, error);
        *good = !status && file->bytes == record->facts.bytes && strcmp(file->sha256, record->facts.sha256) == 0;
        if (!status && !*good) cl_new_file_abort(file);
        if (status == COULIS_MISSING || status == COULIS_EMPTY) status = COULIS_OK;
    }
    cl_free(from);
    return whole(status, error);
}

coulis_status cl_bucket_send(cl_bucket *b, const char *from, const cl_part_record *record, coulis_error *error) {
    char name[CL_PART_NAME];
    cl_part_name(record->kind, record->number, name);
    char *to = address_of(b, name);
    if (!to) return no_memory(b, error);
    coulis_status status = whole(cl_remote_put(b->remote, to, from, error), error);
    if (!status) status = cl_parts_add(&b->there, record, error);
    cl_free(to);
    return status;
}

void cl_bucket_keep(cl_bucket *b, const cl_parts *parts) {
    int64_t kept = 0;
    for (int64_t i = 0; i < b->there.count; i++) {
        const cl_part_record *mine = &b->there.records[i], *other = cl_parts_find(parts, mine->kind, mine->number);
        if (other && strcmp(other->facts.sha256, mine->facts.sha256) == 0) b->there.records[kept++] = *mine;
    }
    b->there.count = kept;
}

/* ---- run.json ---- */

coulis_status cl_bucket_put_run(cl_bucket *b, const char *text, coulis_error *error) {
    char *to = address_of(b, "run.json"), *from = cl_format("%s/run.json", b->scratch);
    char *copy = cl_strdup(text);
    coulis_status status = to && from && copy ? must_be_ours(b, error) : no_memory(b, error);
    if (!status) status = cl_file_write(from, text, strlen(text), error);
    if (!status) status = whole(cl_remote_put(b->remote, to, from, error), error);
    if (!status) {
        cl_free(b->run);
        b->run = copy;
        copy = NULL;
    }
    cl_free(copy);
    cl_free(to);
    cl_free(from);
    return status;
}

/* What run.json says of the PCA that is listed; NULL: out of memory. */
static cJSON *pca_json(const cl_part_record *record) {
    cJSON *pca = cJSON_CreateObject();
    if (cJSON_AddNumberToObject(pca, "components", (double)record->facts.rows) &&
        cJSON_AddNumberToObject(pca, "bytes", (double)record->facts.bytes) &&
        cJSON_AddStringToObject(pca, "sha256", record->facts.sha256))
        return pca;
    cJSON_Delete(pca);
    return NULL;
}

coulis_status cl_bucket_put_begun(cl_bucket *b, const cJSON *recipe, const char *root, const char *work,
                                  coulis_error *error) {
    const cl_part_record *pca = cl_parts_find(&b->there, CL_KIND_PCA, 0);
    cJSON *run = cJSON_CreateObject(), *copy = cJSON_Duplicate(recipe, 1), *parts = cl_parts_json(&b->there, true);
    cJSON *of_pca = pca ? pca_json(pca) : NULL;
    bool good = run && copy && parts && (!pca || of_pca) && cJSON_AddBoolToObject(run, "complete", 0) &&
                cJSON_AddStringToObject(run, "work", work) && (!root || cJSON_AddStringToObject(run, "root", root));
    cJSON *const items[] = {copy, parts, of_pca};
    static const char *const names[] = {"recipe", "parts", "pca"};
    for (int i = 0; i < 3; i++) {
        if (!items[i]) continue;
        if (!good || !cJSON_AddItemToObject(run, names[i], items[i])) {
            cJSON_Delete(items[i]);
            good = false;
        }
    }
    char *text = cl_json_page(run, good);
    coulis_status status = text ? cl_bucket_put_run(b, text, error) : no_memory(b, error);
    cl_free(text);
    return status;
}

void cl_bucket_close(cl_bucket *b) {
    cl_remote_free(b->remote);
    cl_parts_close(&b->there);
    cl_free(b->run);
    *b = (cl_bucket){.there = {.descriptor = -1}};
}
