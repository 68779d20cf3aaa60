#include "collection/options.h"

#include <math.h>

#include "base/json.h"
#include "base/sized.h"

static const coulis_collection_options defaults = {
    .size = sizeof defaults, .k = 10, .threshold = 0.98, .seed = 1, .max_bytes = 40000000};

void coulis_collection_options_init(coulis_collection_options *options, size_t size) {
    cl_sized_init(options, size, &defaults, sizeof defaults);
}

coulis_status cl_collection_options(const coulis_collection_options *given, coulis_collection_options *own,
                                    coulis_error *error) {
    *own = defaults;
    coulis_status status = cl_sized_read(given, "coulis_collection_options", own, sizeof *own, error);
    if (status) return status;
    if (own->threads < 0 || own->threads > 1024)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "threads must be 0 (all cores) to 1024");
    if (own->k < 1 || own->k > 1000000)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "k must be from 1 to 1,000,000, not %lld", (long long)own->k);
    if (!(own->threshold >= -1 && own->threshold <= 1))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "the threshold must be from -1 to 1, not %g", own->threshold);
    if (own->seed < 0 || own->max_bytes < 0)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "the seed and the size of a report must not be negative");
    if (own->what < 0 || own->what > 1 || own->dtype < 0 || own->dtype > 1)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "what and dtype must be 0 or 1");
    return COULIS_OK;
}

/* Whether two recipes agree in a field. */
static bool agree(const cJSON *a, const cJSON *b, const char *name) {
    return cJSON_Compare(cJSON_GetObjectItemCaseSensitive(a, name), cJSON_GetObjectItemCaseSensitive(b, name), true) ||
           (!cJSON_GetObjectItemCaseSensitive(a, name) && !cJSON_GetObjectItemCaseSensitive(b, name));
}

coulis_status cl_recipes_alike(const cl_collection *a, const cl_collection *b, coulis_error *error) {
    static const char *const fields[] = {"model",  "model_sha256", "features", "resize",    "orient", "alpha",
                                         "decode", "precision",    "filter",   "truncated", "depth",  "cmyk"};
    const char *texts[] = {cl_table_recipe(a->table), cl_table_recipe(b->table)};
    if (!texts[0] || !texts[1]) return COULIS_OK; /* another program's table: nobody knows */
    bool lacks[2];
    cJSON *first = cl_json_parse(texts[0], strlen(texts[0]), NULL, &lacks[0]);
    cJSON *second = cl_json_parse(texts[1], strlen(texts[1]), NULL, &lacks[1]);
    coulis_status status = lacks[0] || lacks[1] ? cl_fail_memory(error, "recipes", strlen(texts[0])) : COULIS_OK;
    for (size_t i = 0; first && second && i < sizeof fields / sizeof *fields && !status; i++)
        if (!agree(first, second, fields[i]))
            status = cl_fail(error, COULIS_CONFLICT,
                             "%s: its vectors were made with another '%s' than those of %s, so they cannot be compared",
                             b->folder, fields[i], a->folder);
    cJSON_Delete(first);
    cJSON_Delete(second);
    return status;
}
