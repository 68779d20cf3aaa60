#include "pipeline/summary.h"

#include <cjson/cJSON.h>

#include "base/json.h"
#include "base/sized.h"
#include "pca/model.h"

/* Adds `item` under `name`; false (and the item gone) when memory is short. */
static bool add(cJSON *object, const char *name, cJSON *item) {
    if (item && cJSON_AddItemToObject(object, name, item)) return true;
    cJSON_Delete(item);
    return false;
}

void coulis_job_result_init(coulis_job_result *result, size_t size) {
    const coulis_job_result nothing = {.size = sizeof nothing};
    cl_sized_init(result, size, &nothing, sizeof nothing);
}

void cl_summary_complete(cl_summary *s) {
    coulis_job_result *r = &s->result;
    for (int32_t status = COULIS_OK; status <= COULIS_MISSING; status++) r->images += r->counts[status];
    for (int stage = 0; stage < COULIS_RESULT_STAGES; stage++) r->total_seconds += r->seconds[stage];
    const double featurize = r->seconds[COULIS_STAGE_FEATURIZE];
    if (featurize > 0) r->images_per_second = (double)(r->images - r->resumed) / featurize;
    if (!s->pca) return;
    const double *ratio = coulis_pca_explained_variance_ratio(s->pca);
    r->components = coulis_pca_components_count(s->pca);
    for (int64_t i = 0; i < r->components; i++) r->explained_variance += ratio[i];
    if (s->share) r->explained_variance = *s->share;
    r->error_bound = coulis_pca_error_bound(s->pca);
}

static cJSON *counts_object(const coulis_job_result *r) {
    cJSON *object = cJSON_CreateObject();
    bool good = object && cJSON_AddNumberToObject(object, "pictures", (double)r->images);
    for (int32_t status = COULIS_OK; good && status <= COULIS_MISSING; status++)
        good = cJSON_AddNumberToObject(object, coulis_status_name(status), (double)r->counts[status]) != NULL;
    good = good && cJSON_AddNumberToObject(object, "resumed", (double)r->resumed) &&
           cJSON_AddNumberToObject(object, "not_images", (double)r->not_images) &&
           cJSON_AddNumberToObject(object, "left_out_system", (double)r->left_out_system) &&
           cJSON_AddNumberToObject(object, "left_out_hidden", (double)r->left_out_hidden) &&
           cJSON_AddNumberToObject(object, "left_out_excluded", (double)r->left_out_excluded) &&
           cJSON_AddNumberToObject(object, "folders_unreadable", (double)r->folders_unreadable);
    if (good) return object;
    cJSON_Delete(object);
    return NULL;
}

static cJSON *seconds_object(const cl_summary *s) {
    cJSON *object = cJSON_CreateObject();
    const char *name;
    for (int32_t stage = 0; object && (name = coulis_option_word("stage", stage)); stage++)
        if (s->stages >> stage & 1) cJSON_AddNumberToObject(object, name, s->result.seconds[stage]);
    if (object) cJSON_AddNumberToObject(object, "total", s->result.total_seconds);
    return object;
}

/* Share of the variance of the rows that the PCA was fitted to. */
static double fitted_share(const coulis_pca *pca) {
    const double *ratio = coulis_pca_explained_variance_ratio(pca);
    double share = 0;
    for (int64_t i = 0; i < coulis_pca_components_count(pca); i++) share += ratio[i];
    return share;
}

/* The file in the folder of output. */
static bool add_file(cJSON *object, const cl_part_record *record) {
    return !record || (cJSON_AddNumberToObject(object, "bytes", (double)record->facts.bytes) &&
                       cJSON_AddStringToObject(object, "sha256", record->facts.sha256));
}

static cJSON *pca_object(const cl_summary *s) {
    const coulis_pca *pca = s->pca;
    const coulis_job_result *r = &s->result;
    const int64_t k = r->components;
    const double *variance = coulis_pca_explained_variance(pca), *ratio = coulis_pca_explained_variance_ratio(pca);
    cJSON *object = cJSON_CreateObject();
    bool good = object && cJSON_AddNumberToObject(object, "components", (double)k) &&
                cJSON_AddNumberToObject(object, "samples", (double)coulis_pca_samples(pca)) &&
                cJSON_AddNumberToObject(object, "total_variance", coulis_pca_total_variance(pca)) &&
                cJSON_AddNumberToObject(object, "explained_variance_share", r->explained_variance) &&
                (!s->share || cJSON_AddNumberToObject(object, "fitted_variance_share", fitted_share(pca))) &&
                cJSON_AddStringToObject(object, "solver", coulis_option_word("solver", coulis_pca_solver(pca))) &&
                cJSON_AddNumberToObject(object, "error_bound", r->error_bound) &&
                add(object, "explained_variance", cJSON_CreateDoubleArray(variance, (int)k)) &&
                add(object, "explained_variance_ratio", cJSON_CreateDoubleArray(ratio, (int)k)) &&
                add_file(object, s->parts ? cl_parts_find(s->parts, CL_KIND_PCA, 0) : NULL);
    if (good) return object;
    cJSON_Delete(object);
    return NULL;
}

static cJSON *model_object(const coulis_model_info *model) {
    cJSON *object = cJSON_CreateObject();
    bool good = object && cJSON_AddStringToObject(object, "name", model->name) &&
                cJSON_AddStringToObject(object, "sha256", model->sha256) &&
                cJSON_AddStringToObject(object, "source", model->source) &&
                cJSON_AddStringToObject(object, "licence", model->licence);
    if (good) return object;
    cJSON_Delete(object);
    return NULL;
}

/* SHA-256 over the text without blanks, so that it does not matter how a program lays it out. */
static bool digest(const cJSON *root, char sha256[CL_SHA256_TEXT]) {
    char *text = cJSON_PrintUnformatted(root);
    if (!text) return false;
    cl_sha256_of(text, strlen(text), sha256);
    cJSON_free(text);
    return true;
}

/* The text of a summary with its own digest at the end; releases `root`. */
static char *print(cJSON *root, bool good) {
    char sha256[CL_SHA256_TEXT];
    good = good && digest(root, sha256) && cJSON_AddStringToObject(root, "sha256", sha256);
    return cl_json_page(root, good);
}

bool cl_summary_is_sound(const cJSON *root) {
    cJSON *rest = cJSON_Duplicate(root, 1);
    cJSON *own = cJSON_DetachItemFromObjectCaseSensitive(rest, "sha256");
    char sha256[CL_SHA256_TEXT];
    bool sound = cJSON_IsString(own) && digest(rest, sha256) && strcmp(own->valuestring, sha256) == 0;
    cJSON_Delete(own);
    cJSON_Delete(rest);
    return sound;
}

char *cl_summary_without_features(const char *text) {
    cJSON *root = cJSON_Parse(text);
    cJSON *parts = cJSON_GetObjectItemCaseSensitive(root, "parts");
    for (int i = cJSON_GetArraySize(parts) - 1; i >= 0; i--) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(parts, i), "name");
        if (cJSON_IsString(name) && strncmp(name->valuestring, "features/", 9) == 0)
            cJSON_DeleteItemFromArray(parts, i);
    }
    cJSON_DeleteItemFromObjectCaseSensitive(root, "sha256");
    return print(root, root != NULL);
}

char *cl_summary_json(const cl_summary *s) {
    cJSON *root = cJSON_CreateObject();
    char *folder = cl_utf8_copy(s->output);
    const coulis_job_result *r = &s->result;
    bool good = root && folder && cJSON_AddBoolToObject(root, "complete", 1) &&
                cJSON_AddStringToObject(root, "coulis", coulis_version()) &&
                cJSON_AddStringToObject(root, "output", folder) && add(root, "recipe", cJSON_Parse(s->recipe)) &&
                (!s->root || cJSON_AddStringToObject(root, "root", s->root)) && add(root, "counts", counts_object(r)) &&
                cJSON_AddNumberToObject(root, "vector_length", (double)r->length);
    if (good && s->pca) good = add(root, "pca", pca_object(s));
    if (good && s->model) good = add(root, "model", model_object(s->model));
    good = good && add(root, "seconds", seconds_object(s));
    if (good && s->stages >> COULIS_STAGE_FEATURIZE & 1)
        good = cJSON_AddNumberToObject(root, "images_per_second", r->images_per_second) != NULL;
    good = good && cJSON_AddStringToObject(root, "instruction_set", coulis_instruction_set()) &&
           cJSON_AddNumberToObject(root, "threads", s->threads) &&
           cJSON_AddNumberToObject(root, "peak_memory_bytes", (double)cl_peak_memory());
    if (good && s->parts) good = add(root, "parts", cl_parts_json(s->parts, !s->reduced_only));
    cl_free(folder);
    return print(root, good);
}

static double number(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* A count, as the text has it; 0 for what is none. */
static int64_t whole(const cJSON *object, const char *name) {
    double value = number(object, name);
    return value >= 0 && value < 0x1p53 ? (int64_t)value : 0;
}

coulis_status cl_summary_read(const char *text, const char *path, coulis_job_result *r, coulis_error *error) {
    cJSON *root = cJSON_Parse(text);
    const cJSON *counts = cJSON_GetObjectItemCaseSensitive(root, "counts");
    const cJSON *pca = cJSON_GetObjectItemCaseSensitive(root, "pca");
    const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(root, "seconds");
    *r = (coulis_job_result){.size = sizeof *r};
    r->images = whole(counts, "pictures");
    for (int32_t status = COULIS_OK; status <= COULIS_MISSING; status++)
        r->counts[status] = whole(counts, coulis_status_name(status));
    r->resumed = whole(counts, "resumed");
    r->not_images = whole(counts, "not_images");
    r->left_out_system = whole(counts, "left_out_system");
    r->left_out_hidden = whole(counts, "left_out_hidden");
    r->left_out_excluded = whole(counts, "left_out_excluded");
    r->folders_unreadable = whole(counts, "folders_unreadable");
    r->length = whole(root, "vector_length");
    r->components = whole(pca, "components");
    r->explained_variance = number(pca, "explained_variance_share");
    r->error_bound = number(pca, "error_bound");
    const char *name;
    for (int32_t stage = 0; (name = coulis_option_word("stage", stage)); stage++)
        r->seconds[stage] = number(seconds, name);
    r->total_seconds = number(seconds, "total");
    r->images_per_second = number(root, "images_per_second");
    const bool good = cJSON_IsObject(counts);
    cJSON_Delete(root);
    return good ? COULIS_OK : cl_fail(error, COULIS_BAD_DATA, "%s: is not the summary of a job", path);
}
