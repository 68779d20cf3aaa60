#include "pipeline/recipe.h"

#include <cjson/cJSON.h>

#include "base/memory.h"
#include "kernels/reduced/reduced.h"

/* Adds the word of an option's number under the option's name. */
static int add_word(cJSON *root, const char *option, int32_t number) {
    return cJSON_AddStringToObject(root, option, coulis_option_word(option, number)) != NULL;
}

/* The precision, and the instructions that give it: others round in another order, and where there are none the vectors
 * are float32's. */
static int add_precision(cJSON *root, int32_t precision) {
    const cl_reduced *reduced = cl_reduced_for(cl_cpu(), precision);
    return add_word(root, "precision", precision) &&
           cJSON_AddStringToObject(root, "precision_instructions", reduced ? reduced->name : "none");
}

/* To what size a whole image is resized before its centre is cut out. */
static int add_published(cJSON *root, const coulis_image_options *image) {
    return cJSON_AddNumberToObject(root, "resize_width", image->resize_width) &&
           cJSON_AddNumberToObject(root, "resize_height", image->resize_height) &&
           add_word(root, "center", image->center);
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
                         const coulis_source *source) {
    const int32_t precision = options->featurizer->precision, features = options->featurizer->features;
    const coulis_image_options *image = options->featurizer->image;
    cJSON *root = cJSON_CreateObject(), *size = cJSON_CreateArray();
    int good = root && size && cJSON_AddItemToArray(size, cJSON_CreateNumber(model->input_width)) &&
               cJSON_AddItemToArray(size, cJSON_CreateNumber(model->input_height)) &&
               cJSON_AddStringToObject(root, "coulis", coulis_version()) &&
               cJSON_AddStringToObject(root, "model", model->name) &&
               cJSON_AddStringToObject(root, "model_sha256", model->sha256) &&
               add_word(root, "features", features == COULIS_FEATURES_DEFAULT ? model->default_features : features) &&
               cJSON_AddNumberToObject(root, "length", (double)length);
    if (good && cJSON_AddItemToObject(root, "input_size", size)) size = NULL; /* the root's now */
    else good = 0;
    cJSON_Delete(size);
    good = good && add_word(root, "resize", image->resize) &&
           add_word(root, "filter", image->resize == COULIS_RESIZE_PUBLISHED ? image->filter : COULIS_FILTER_BICUBIC) &&
           (image->resize != COULIS_RESIZE_PUBLISHED || add_published(root, image)) &&
           add_word(root, "orient", image->orient) &&
           add_word(root, "alpha", image->alpha) &&
           /* Only where it is not the default: results of versions without the option go on. */
           (image->decode == COULIS_DECODE_EXACT || add_word(root, "decode", image->decode)) &&
           (image->truncated == COULIS_TRUNCATED_REFUSE || add_word(root, "truncated", image->truncated)) &&
           (image->depth == COULIS_DEPTH_PILLOW || add_word(root, "depth", image->depth)) &&
           (image->cmyk == COULIS_CMYK_PLAIN || add_word(root, "cmyk", image->cmyk)) &&
           (precision == COULIS_PRECISION_FLOAT32 || add_precision(root, precision)) &&
           cJSON_AddNumberToObject(root, "max_bytes", (double)image->max_bytes) &&
           cJSON_AddNumberToObject(root, "max_pixels", (double)image->max_pixels) &&
           cJSON_AddStringToObject(root, "instruction_set", coulis_instruction_set()) &&
           (source->count < 0 || cJSON_AddNumberToObject(root, "pictures", (double)source->count)) &&
           cJSON_AddStringToObject(root, "paths_sha256", source->identity ? source->identity : "") &&
           cJSON_AddNumberToObject(root, "rows_per_file", (double)options->rows_per_file);
    return print(root, good);
}

char *cl_recipe_reduced(const char *features, double components, const char *pca_sha256) {
    cJSON *root = features ? cJSON_Parse(features) : cJSON_CreateObject();
    int good = cJSON_IsObject(root) && cJSON_AddNumberToObject(root, "components", components) &&
               (!pca_sha256 || cJSON_AddStringToObject(root, "pca_sha256", pca_sha256));
    return print(root, good);
}
