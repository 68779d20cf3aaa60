/* Holds a finished result against what it says of itself. */
#include <stdio.h>

#include "base/files.h"
#include "pca/model.h"
#include "pipeline/fetched.h"
#include "pipeline/output.h"
#include "pipeline/recipe.h"
#include "pipeline/reduce.h"
#include "pipeline/review.h"
#include "pipeline/summary.h"

#define RUN_JSON_MAX ((int64_t)256 << 20)

typedef struct verifying {
    const char *folder;
    char *run;    /* path of run.json */
    cJSON *root;  /* its content */
    char *recipe; /* of the job */
    char *table;  /* of the table of vectors: without what came after */
    cl_parts parts;
    int64_t rows, bytes;
    coulis_error *error;
} verifying;

static const cJSON *get(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static coulis_status read_run(verifying *v) {
    uint8_t *text;
    size_t size;
    v->run = cl_format("%s/run.json", v->folder);
    if (!v->run) return cl_fail_memory(v->error, "a path", strlen(v->folder));
    coulis_status status = cl_file_read(v->run, RUN_JSON_MAX, &text, &size, v->error);
    if (status) return status;
    v->root = cJSON_Parse((const char *)text);
    cl_free(text);
    const char *version = cJSON_GetStringValue(get(v->root, "coulis"));
    if (!cJSON_IsObject(get(v->root, "recipe")))
        return cl_fail(v->error, COULIS_BAD_DATA, "%s: is not the summary of a job", v->run);
    if (!cJSON_IsTrue(get(v->root, "complete")))
        return cl_fail(v->error, COULIS_BAD_DATA, "%s: the job is not complete; rerun its command to resume it",
                       v->run);
    if (!cJSON_IsArray(get(v->root, "parts")))
        return cl_fail(v->error, COULIS_BAD_DATA, "%s: has no digests, as coulis %s wrote none", v->run,
                       version ? version : "0.1");
    if (!cl_summary_is_sound(v->root))
        return cl_fail(v->error, COULIS_BAD_DATA, "%s: was changed after it was written", v->run);
    return COULIS_OK;
}

/* The recipes as the parts have them. */
static coulis_status print_recipes(verifying *v) {
    char *printed = cJSON_PrintUnformatted(get(v->root, "recipe"));
    v->table = cl_recipe_of_table(get(v->root, "recipe"));
    v->recipe = printed ? cl_strdup(printed) : NULL;
    cJSON_free(printed);
    return v->recipe && v->table ? COULIS_OK : cl_fail_memory(v->error, "a recipe", 0);
}

/* Holds the digest of a file against its record. */
static coulis_status check_digest(verifying *v, const cl_part_record *record, const char *path) {
    char sha256[CL_SHA256_TEXT];
    int64_t bytes;
    coulis_status status = cl_file_sha256(path, &bytes, sha256, v->error);
    if (status) return status;
    v->bytes += bytes;
    if (bytes != record->facts.bytes || strcmp(sha256, record->facts.sha256) != 0)
        return cl_fail(v->error, COULIS_BAD_DATA,
                       "%s: its content is not what was written (SHA-256 %.12s..., not %.12s...)", path, sha256,
                       record->facts.sha256);
    return COULIS_OK;
}

static coulis_status check_pca(verifying *v) {
    const cl_part_record *record = cl_parts_find(&v->parts, CL_KIND_PCA, 0);
    const cJSON *recipe = get(v->root, "recipe");
    /* The PCA of a transformation is a file elsewhere. */
    if (!cJSON_HasObjectItem(recipe, "components") ||
        (cJSON_HasObjectItem(recipe, "pca_sha256") && !cJSON_HasObjectItem(recipe, "pca")))
        return COULIS_OK;
    if (!get(v->root, "pca")) return COULIS_OK; /* one vector alone has none */
    if (!record) return cl_fail(v->error, COULIS_BAD_DATA, "%s: lacks the digest of pca.safetensors", v->run);
    char *path = cl_format("%s/pca.safetensors", v->folder);
    if (!path) return cl_fail_memory(v->error, "a path", strlen(v->folder));
    coulis_pca *pca = NULL;
    coulis_status status = coulis_pca_load(path, &pca, v->error);
    if (!status && coulis_pca_recipe(pca)) status = cl_recipe_compare(v->table, coulis_pca_recipe(pca), path, v->error);
    if (!status) status = check_digest(v, record, path);
    if (!status && coulis_pca_components_count(pca) != record->facts.rows)
        status = cl_fail(v->error, COULIS_BAD_DATA, "%s: has %lld components, not %lld", path,
                         (long long)coulis_pca_components_count(pca), (long long)record->facts.rows);
    coulis_pca_free(pca);
    cl_free(path);
    return status;
}

static coulis_status check_part(verifying *v, const cl_part_record *record, const char *pca_sha256) {
    const bool reduced = record->kind == CL_KIND_REDUCED;
    const cl_expected expected = {.recipe = reduced ? v->recipe : v->table,
                                  .pca_sha256 = reduced ? pca_sha256 : NULL,
                                  .rows = -1};
    bool good;
    coulis_error why;
    coulis_status status = cl_review_part(&v->parts, record->kind, record->number, &expected, &good, &why, v->error);
    if (!status && !good) status = cl_fail(v->error, (coulis_status)why.status, "%s", why.message);
    if (status) return status;
    char name[CL_PART_NAME];
    cl_part_name(record->kind, record->number, name);
    char *path = cl_format("%s/%s", v->folder, name);
    status = path ? check_digest(v, record, path) : cl_fail_memory(v->error, "a path", strlen(v->folder));
    cl_free(path);
    return status;
}

/* Parts that no record names. */
static coulis_status check_strangers(verifying *v, cl_kind kind) {
    const char *name = kind == CL_KIND_FEATURES ? "features" : "reduced";
    char *folder = cl_format("%s/%s", v->folder, name);
    if (!folder) return cl_fail_memory(v->error, "a path", strlen(v->folder));
    cl_listing *listing;
    coulis_status status = cl_listing_find(folder, &listing, v->error);
    for (const char *file; !status && (file = cl_next_name(listing, folder, &status, v->error));) {
        cl_kind named;
        int64_t number;
        char *whole = cl_format("%s/%s", name, file);
        if (!whole) status = cl_fail_memory(v->error, "a path", strlen(folder));
        else if (cl_part_name_read(whole, &named, &number) && !cl_parts_find(&v->parts, kind, number))
            status = cl_fail(v->error, COULIS_BAD_DATA, "%s/%s: is not part of this result", folder, file);
        cl_free(whole);
    }
    cl_listing_close(listing);
    cl_free(folder);
    return status;
}

/* Holds the counts of run.json against the rows of a table. */
static coulis_status check_rows(verifying *v, cl_kind kind) {
    char *folder = cl_format("%s/%s", v->folder, kind == CL_KIND_FEATURES ? "features" : "reduced");
    if (!folder) return cl_fail_memory(v->error, "a path", strlen(v->folder));
    coulis_job_result found = {0};
    int64_t rows;
    coulis_status status = cl_count_parts(&v->parts, kind, &found, &rows, v->error);
    if (status || rows == 0) {
        cl_free(folder);
        return status;
    }
    coulis_job_result said;
    char *text = cJSON_PrintUnformatted(v->root);
    if (!status) status = text ? cl_summary_read(text, v->run, &said, v->error) : cl_fail_memory(v->error, v->run, 0);
    for (int32_t word = COULIS_OK; !status && word <= COULIS_MISSING; word++)
        if (found.counts[word] != said.counts[word])
            status = cl_fail(v->error, COULIS_BAD_DATA, "%s: has %lld rows with the status '%s', where %s says %lld",
                             folder, (long long)found.counts[word], coulis_status_name(word), v->run,
                             (long long)said.counts[word]);
    if (!status && rows != said.images)
        status = cl_fail(v->error, COULIS_BAD_DATA, "%s: has %lld rows, where %s says %lld", folder, (long long)rows,
                         v->run, (long long)said.images);
    if (!status) v->rows = rows;
    cJSON_free(text);
    cl_free(folder);
    return status;
}

static coulis_status verify(verifying *v) {
    coulis_status status = read_run(v);
    if (status) return status;
    v->parts.folder = cl_strdup(v->folder);
    if (!v->parts.folder) return cl_fail_memory(v->error, "a path", strlen(v->folder));
    status = cl_parts_add_summary(&v->parts, v->root, v->error);
    if (!status) status = print_recipes(v);
    if (!status) status = check_pca(v);
    const char *pca = cJSON_GetStringValue(get(get(v->root, "pca"), "sha256"));
    if (!pca) pca = cJSON_GetStringValue(get(get(v->root, "recipe"), "pca_sha256"));
    for (int64_t i = 0; !status && i < v->parts.count; i++)
        if (v->parts.records[i].kind != CL_KIND_PCA) status = check_part(v, &v->parts.records[i], pca);
    for (cl_kind kind = CL_KIND_FEATURES; !status && kind <= CL_KIND_REDUCED; kind++) {
        status = check_strangers(v, kind);
        if (!status) status = check_rows(v, kind);
    }
    return status;
}

/* What was found, as JSON; NULL: out of memory. */
static char *report(const verifying *v) {
    cJSON *root = cJSON_CreateObject();
    char *folder = cl_utf8_copy(v->folder), *text = NULL;
    if (root && folder && cJSON_AddBoolToObject(root, "verified", 1) &&
        cJSON_AddStringToObject(root, "output", folder) &&
        cJSON_AddNumberToObject(root, "files", (double)v->parts.count) &&
        cJSON_AddNumberToObject(root, "rows", (double)v->rows) &&
        cJSON_AddNumberToObject(root, "bytes", (double)v->bytes)) {
        char *printed = cJSON_Print(root);
        text = printed ? cl_format("%s\n", printed) : NULL;
        cJSON_free(printed);
    }
    cJSON_Delete(root);
    cl_free(folder);
    return text;
}

coulis_status coulis_job_verify(const char *output, char **json, coulis_error *error) {
    if (!output) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no folder given");
    cl_stand_in in;
    coulis_status status = cl_fetch_result(output, &in, error);
    if (status) return cl_stand_in_end(&in, status, error);
    verifying v = {.folder = in.path, .parts = {.descriptor = -1}, .error = error};
    status = verify(&v);
    v.folder = output;
    char *text = !status && json ? report(&v) : NULL;
    if (!status && json && !text) status = cl_fail_memory(error, "the report", 0);
    if (!status && json) *json = text;
    if (!status) cl_clear(error);
    cJSON_Delete(v.root);
    cl_parts_close(&v.parts);
    cl_free(v.recipe);
    cl_free(v.table);
    cl_free(v.run);
    return cl_stand_in_end(&in, status, error);
}
