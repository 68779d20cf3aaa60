#include "pipeline/recipe.h"

#include <cjson/cJSON.h>

#include "base/memory.h"
#include "kernels/reduced/reduced.h"

const char *cl_features_name(int32_t features) {
    static const char *const names[] = {"pooled", "map", "logits"};
    return features >= 0 && features <= COULIS_FEATURES_LOGITS ? names[features] : "?";
}
const char *cl_resize_name(int32_t resize) { return resize == COULIS_RESIZE_CROP ? "crop" : "squash"; }
const char *cl_orient_name(int32_t orient) { return orient == COULIS_ORIENT_EXIF ? "exif" : "ignore"; }
const char *cl_alpha_name(int32_t alpha) { return alpha == COULIS_ALPHA_WHITE ? "white" : "drop"; }

/* The precision, and the instructions that give it: others round in another order, and where there are none the vectors
 * are float32's. */
static int add_precision(cJSON *root, int32_t precision) {
    const cl_reduced *reduced = cl_reduced_for(cl_cpu(), precision);
    return cJSON_AddStringToObject(root, "precision", precision == COULIS_PRECISION_BF16 ? "bf16" : "int8") &&
           cJSON_AddStringToObject(root, "precision_instructions", reduced ? reduced->name : "none");
}

/* Prints and releases a cJSON object; `good` says whether it was put together without want of memory. */
static char *print(cJSON *root, int good) {
    char *printed = good ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    char *copy = printed ? cl_strdup(printed) : NULL;
    cJSON_free(printed);
    return copy;
}

char *cl_recipe_features(const coulis_job_options *options, const coulis_model_info *model, int64_t length,
                         const cl_list *list) {
    const coulis_image_options *image = &options->image;
    cJSON *root = cJSON_CreateObject(), *size = cJSON_CreateArray();
    int good = root && size && cJSON_AddItemToArray(size, cJSON_CreateNumber(model->input_width)) &&
               cJSON_AddItemToArray(size, cJSON_CreateNumber(model->input_height)) &&
               cJSON_AddStringToObject(root, "coulis", coulis_version()) &&
               cJSON_AddStringToObject(root, "model", model->name) &&
               cJSON_AddStringToObject(root, "model_sha256", model->sha256) &&
               cJSON_AddStringToObject(root, "features", cl_features_name(options->features)) &&
               cJSON_AddNumberToObject(root, "length", (double)length);
    if (good && cJSON_AddItemToObject(root, "input_size", size)) size = NULL; /* the root's now */
    else good = 0;
    cJSON_Delete(size);
    good = good && cJSON_AddStringToObject(root, "resize", cl_resize_name(image->resize)) &&
           cJSON_AddStringToObject(root, "filter", "bicubic") &&
           cJSON_AddStringToObject(root, "orient", cl_orient_name(image->orient)) &&
           cJSON_AddStringToObject(root, "alpha", cl_alpha_name(image->alpha)) &&
           /* Only where it is not the default: results of versions without the option go on. */
           (image->decode == COULIS_DECODE_EXACT || cJSON_AddStringToObject(root, "decode", "fast")) &&
           (options->precision == COULIS_PRECISION_FLOAT32 || add_precision(root, options->precision)) &&
           cJSON_AddNumberToObject(root, "max_bytes", (double)image->max_bytes) &&
           cJSON_AddNumberToObject(root, "max_pixels", (double)image->max_pixels) &&
           cJSON_AddStringToObject(root, "instruction_set", coulis_instruction_set()) &&
           cJSON_AddNumberToObject(root, "pictures", (double)cl_list_count(list)) &&
           cJSON_AddStringToObject(root, "paths_sha256", cl_list_sha256(list)) &&
           cJSON_AddNumberToObject(root, "rows_per_file", (double)options->rows_per_file);
    return print(root, good);
}

char *cl_recipe_reduced(const char *features, double components, const char *pca_sha256) {
    cJSON *root = features ? cJSON_Parse(features) : cJSON_CreateObject();
    int good = cJSON_IsObject(root) && cJSON_AddNumberToObject(root, "components", components) &&
               (!pca_sha256 || cJSON_AddStringToObject(root, "pca_sha256", pca_sha256));
    return print(root, good);
}
