#include "pipeline/summary.h"

#include <cjson/cJSON.h>
#include <string.h>
#include <sys/resource.h>

#include "base/memory.h"
#include "base/text.h"
#include "pca/model.h"

/* Adds `item` under `name`; false (and the item gone) when memory is short. */
static int add(cJSON *object, const char *name, cJSON *item) {
    if (item && cJSON_AddItemToObject(object, name, item)) return 1;
    cJSON_Delete(item);
    return 0;
}

static cJSON *counts_object(const cl_summary *s) {
    cJSON *object = cJSON_CreateObject();
    int64_t pictures = 0;
    int good = object != NULL;
    for (int32_t status = COULIS_OK; status <= COULIS_MISSING; status++) pictures += s->counts[status];
    good = good && cJSON_AddNumberToObject(object, "pictures", (double)pictures);
    for (int32_t status = COULIS_OK; good && status <= COULIS_MISSING; status++)
        good = cJSON_AddNumberToObject(object, coulis_status_name(status), (double)s->counts[status]) != NULL;
    good = good && cJSON_AddNumberToObject(object, "resumed", (double)s->resumed);
    if (good) return object;
    cJSON_Delete(object);
    return NULL;
}

static cJSON *seconds_object(const cl_summary *s) {
    static const char *const names[] = {"list", "featurize", "fit", "transform"};
    cJSON *object = cJSON_CreateObject();
    double total = 0;
    for (int stage = 0; object && stage <= COULIS_STAGE_TRANSFORM; stage++) {
        if (!(s->stages >> stage & 1)) continue;
        total += s->seconds[stage];
        cJSON_AddNumberToObject(object, names[stage], s->seconds[stage]);
    }
    if (object) cJSON_AddNumberToObject(object, "total", total);
    return object;
}

static cJSON *pca_object(const coulis_pca *pca) {
    const int64_t k = coulis_pca_components_count(pca);
    const double *variance = coulis_pca_explained_variance(pca), *ratio = coulis_pca_explained_variance_ratio(pca);
    double share = 0;
    for (int64_t i = 0; i < k; i++) share += ratio[i];
    cJSON *object = cJSON_CreateObject();
    int good = object && cJSON_AddNumberToObject(object, "components", (double)k) &&
               cJSON_AddNumberToObject(object, "samples", (double)coulis_pca_samples(pca)) &&
               cJSON_AddNumberToObject(object, "total_variance", coulis_pca_total_variance(pca)) &&
               cJSON_AddNumberToObject(object, "explained_variance_share", share) &&
               cJSON_AddStringToObject(object, "solver", cl_solver_name(coulis_pca_solver(pca))) &&
               cJSON_AddNumberToObject(object, "error_bound", coulis_pca_error_bound(pca)) &&
               add(object, "explained_variance", cJSON_CreateDoubleArray(variance, (int)k)) &&
               add(object, "explained_variance_ratio", cJSON_CreateDoubleArray(ratio, (int)k));
    if (good) return object;
    cJSON_Delete(object);
    return NULL;
}

static cJSON *model_object(const coulis_model_info *model) {
    cJSON *object = cJSON_CreateObject();
    int good = object && cJSON_AddStringToObject(object, "name", model->name) &&
               cJSON_AddStringToObject(object, "sha256", model->sha256) &&
               cJSON_AddStringToObject(object, "source", model->source) &&
               cJSON_AddStringToObject(object, "licence", model->licence);
    if (good) return object;
    cJSON_Delete(object);
    return NULL;
}

/* The most memory this process has held so far, in bytes. */
static double peak_memory(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss * 1024.0 : 0.0; /* Linux counts in KiB */
}

char *cl_summary_json(const cl_summary *s) {
    cJSON *root = cJSON_CreateObject();
    char *folder = cl_utf8_copy(s->output);
    const double featurize = s->seconds[COULIS_STAGE_FEATURIZE];
    double pictures = -(double)s->resumed;
    for (int32_t status = COULIS_OK; status <= COULIS_MISSING; status++) pictures += (double)s->counts[status];
    int good = root && folder && cJSON_AddBoolToObject(root, "complete", 1) &&
               cJSON_AddStringToObject(root, "coulis", coulis_version()) &&
               cJSON_AddStringToObject(root, "output", folder) &&
               add(root, "recipe", cJSON_Parse(s->recipe)) && add(root, "counts", counts_object(s)) &&
               cJSON_AddNumberToObject(root, "vector_length", (double)s->length);
    if (good && s->pca) good = add(root, "pca", pca_object(s->pca));
    if (good && s->model) good = add(root, "model", model_object(s->model));
    good = good && add(root, "seconds", seconds_object(s));
    if (good && s->stages >> COULIS_STAGE_FEATURIZE & 1)
        good = cJSON_AddNumberToObject(root, "images_per_second", featurize > 0 ? pictures / featurize : 0) != NULL;
    good = good && cJSON_AddStringToObject(root, "instruction_set", coulis_instruction_set()) &&
           cJSON_AddNumberToObject(root, "threads", s->threads) &&
           cJSON_AddNumberToObject(root, "peak_memory_bytes", peak_memory());
    char *printed = good ? cJSON_Print(root) : NULL;
    char *text = printed ? cl_format("%s\n", printed) : NULL;
    cJSON_free(printed);
    cJSON_Delete(root);
    cl_free(folder);
    return text;
}
