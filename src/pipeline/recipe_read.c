#include "pipeline/recipe_read.h"

#include <cjson/cJSON.h>

static const char *text_of(const cJSON *recipe, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(recipe, key));
}

/* Reads the word of an option. `may_lack`: recipes leave it out where it is the default. */
static coulis_status read_word(const cJSON *recipe, const char *option, bool may_lack, const char *name, int32_t *out,
                               coulis_error *error) {
    const char *word = text_of(recipe, option);
    if (!word && may_lack) return COULIS_OK;
    if (!word) return cl_fail(error, COULIS_BAD_DATA, "%s: its recipe does not say '%s'", name, option);
    const int32_t number = coulis_option_number(option, word);
    if (number < 0)
        return cl_fail(error, COULIS_BAD_DATA, "%s: its recipe has %s '%s', which this version does not know", name,
                       option, word);
    *out = number;
    return COULIS_OK;
}

/* Reads a whole number that may be missing. */
static int64_t read_number(const cJSON *recipe, const char *key, int64_t otherwise, int64_t most) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(recipe, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= (double)most)) return otherwise;
    return (int64_t)item->valuedouble;
}

/* What `published` takes besides. */
static coulis_status read_published(const cJSON *recipe, const char *name, coulis_image_options *image,
                                    coulis_error *error) {
    image->resize_width = (int32_t)read_number(recipe, "resize_width", 0, INT32_MAX);
    image->resize_height = (int32_t)read_number(recipe, "resize_height", 0, INT32_MAX);
    coulis_status status = read_word(recipe, "filter", false, name, &image->filter, error);
    return status ? status : read_word(recipe, "center", false, name, &image->center, error);
}

coulis_status cl_recipe_read(const char *recipe, const char *name, cl_featurizer_options *own, char **model,
                             coulis_error *error) {
    coulis_image_options *image = &own->image;
    cJSON *root = recipe ? cJSON_Parse(recipe) : NULL;
    const char *network = text_of(root, "model");
    coulis_status status = COULIS_OK;
    coulis_image_options_init(image, sizeof *image);
    own->featurizer.precision = COULIS_PRECISION_FLOAT32;
    if (!network)
        status = cl_fail(error, COULIS_BAD_DATA, "%s: does not say which network its vectors come from", name);
    if (!status) status = read_word(root, "features", false, name, &own->featurizer.features, error);
    if (!status) status = read_word(root, "precision", true, name, &own->featurizer.precision, error);
    if (!status) status = read_word(root, "resize", false, name, &image->resize, error);
    if (!status) status = read_word(root, "orient", false, name, &image->orient, error);
    if (!status) status = read_word(root, "alpha", false, name, &image->alpha, error);
    if (!status) status = read_word(root, "decode", true, name, &image->decode, error);
    if (!status) status = read_word(root, "truncated", true, name, &image->truncated, error);
    if (!status) status = read_word(root, "depth", true, name, &image->depth, error);
    if (!status) status = read_word(root, "cmyk", true, name, &image->cmyk, error);
    if (!status && image->resize == COULIS_RESIZE_PUBLISHED) status = read_published(root, name, image, error);
    image->max_bytes = read_number(root, "max_bytes", image->max_bytes, INT64_MAX / 2);
    image->max_pixels = read_number(root, "max_pixels", image->max_pixels, INT64_MAX / 2);
    if (!status && !(*model = cl_strdup(network))) status = cl_fail_memory(error, name, strlen(network));
    cJSON_Delete(root);
    return status;
}

coulis_status cl_recipe_open_model(const char *recipe, const char *name, const char *model, coulis_model **opened,
                                   coulis_error *error) {
    coulis_model_info info;
    coulis_model *made;
    coulis_model_info_init(&info, sizeof info);
    coulis_status status = coulis_model_open(model, NULL, &made, error);
    if (status) return status;
    status = coulis_model_describe(made, &info, error);
    cJSON *root = cJSON_Parse(recipe);
    const char *wanted = text_of(root, "model_sha256");
    if (!status && wanted && strcmp(wanted, info.sha256) != 0)
        status = cl_fail(error, COULIS_CONFLICT,
                         "%s: its vectors come from another network '%s' (SHA-256 %.12s) than the one here (%.12s)",
                         name, model, wanted, info.sha256);
    cJSON_Delete(root);
    if (status) coulis_model_close(made);
    else *opened = made;
    return status;
}
