#include "pipeline/recipe.h"

#include <stdio.h>

#include "base/json.h"
#include "kernels/reduced/reduced.h"

/* Adds the word of an option's number under the option's name. */
static bool add_word(cJSON *root, const char *option, int32_t number) {
    return cJSON_AddStringToObject(root, option, coulis_option_word(option, number)) != NULL;
}

/* The precision, and the instructions that give it: others round in another order, and where there are none the vectors
 * are float32's. */
static bool add_precision(cJSON *root, int32_t precision) {
    const cl_reduced *reduced = cl_reduced_for(cl_cpu(), precision);
    return add_word(root, "precision", precision) &&
           cJSON_AddStringToObject(root, "precision_instructions", reduced ? reduced->name : "none");
}

/* To what size a whole image is resized before its centre is cut out. */
static bool add_published(cJSON *root, const coulis_image_options *image) {
    return cJSON_AddNumberToObject(root, "resize_width", image->resize_width) &&
           cJSON_AddNumberToObject(root, "resize_height", image->resize_height) &&
           add_word(root, "center", image->center);
}

/* What decides each vector. */
static cJSON *vectors_object(const coulis_featurizer_options *options, const coulis_model_info *model, int64_t length) {
    const coulis_image_options *image = options->image;
    cJSON *root = cJSON_CreateObject(), *size = cJSON_CreateArray();
    bool good = root && size && cJSON_AddItemToArray(size, cJSON_CreateNumber(model->input_width)) &&
                cJSON_AddItemToArray(size, cJSON_CreateNumber(model->input_height)) &&
                cJSON_AddStringToObject(root, "coulis", coulis_version()) &&
                cJSON_AddStringToObject(root, "model", model->name) &&
                cJSON_AddStringToObject(root, "model_sha256", model->sha256) &&
                add_word(root, "features",
                         options->features == COULIS_FEATURES_DEFAULT ? model->default_features : options->features) &&
                cJSON_AddNumberToObject(root, "length", (double)length);
    if (good && cJSON_AddItemToObject(root, "input_size", size)) size = NULL; /* the root's now */
    else good = false;
    cJSON_Delete(size);
    good = good && add_word(root, "resize", image->resize) &&
           add_word(root, "filter", image->resize == COULIS_RESIZE_PUBLISHED ? image->filter : COULIS_FILTER_BICUBIC) &&
           (image->resize != COULIS_RESIZE_PUBLISHED || add_published(root, image)) &&
           add_word(root, "orient", image->orient) && add_word(root, "alpha", image->alpha) &&
           /* Only where it is not the default: results of versions without the option go on. */
           (image->decode == COULIS_DECODE_EXACT || add_word(root, "decode", image->decode)) &&
           (image->truncated == COULIS_TRUNCATED_REFUSE || add_word(root, "truncated", image->truncated)) &&
           (image->depth == COULIS_DEPTH_PILLOW || add_word(root, "depth", image->depth)) &&
           (image->cmyk == COULIS_CMYK_PLAIN || add_word(root, "cmyk", image->cmyk)) &&
           (options->precision == COULIS_PRECISION_FLOAT32 || add_precision(root, options->precision)) &&
           cJSON_AddStringToObject(root, "instruction_set", coulis_instruction_set());
    if (good) return root;
    cJSON_Delete(root);
    return NULL;
}

/* What is beside it in the recipe of a table or its scores: which images, in how many files, and what came after. */
static const char *const of_the_table[] = {"max_bytes",  "max_pixels", "pictures",     "paths_sha256", "rows_per_file",
                                           "components", "pca_sha256", "table_sha256", "pca"};

char *cl_recipe_vectors(const coulis_featurizer_options *options, const coulis_model_info *model, int64_t length) {
    cJSON *root = vectors_object(options, model, length);
    return cl_json_line(root, root != NULL);
}

char *cl_recipe_features(const coulis_job_options *options, const coulis_model_info *model, int64_t length,
                         const coulis_source *source) {
    const coulis_image_options *image = options->featurizer->image;
    cJSON *root = vectors_object(options->featurizer, model, length);
    bool good = root && cJSON_AddNumberToObject(root, "max_bytes", (double)image->max_bytes) &&
                cJSON_AddNumberToObject(root, "max_pixels", (double)image->max_pixels) &&
                (source->count < 0 || cJSON_AddNumberToObject(root, "pictures", (double)source->count)) &&
                cJSON_AddStringToObject(root, "paths_sha256", source->identity ? source->identity : "") &&
                cJSON_AddNumberToObject(root, "rows_per_file", (double)options->rows_per_file);
    return cl_json_line(root, good);
}

char *cl_recipe_reduced(const char *features, double components, const char *pca_sha256, const char *table_sha256) {
    cJSON *root = features ? cJSON_Parse(features) : cJSON_CreateObject();
    bool good = cJSON_IsObject(root) && cJSON_AddNumberToObject(root, "components", components) &&
                (!pca_sha256 || cJSON_AddStringToObject(root, "pca_sha256", pca_sha256)) &&
                (!table_sha256 || cJSON_AddStringToObject(root, "table_sha256", table_sha256));
    return cl_json_line(root, good);
}

char *cl_recipe_kept(const char *features, double components, const char *pca_sha256) {
    cJSON *root = cJSON_Parse(features);
    bool good = cJSON_IsObject(root) && cJSON_AddNumberToObject(root, "components", components) &&
                cJSON_AddStringToObject(root, "pca_sha256", pca_sha256) && cJSON_AddStringToObject(root, "pca", "kept");
    return cl_json_line(root, good);
}

char *cl_recipe_of_table(const cJSON *recipe) {
    static const char *const later[] = {"components", "pca_sha256", "table_sha256", "pca", "shard"};
    cJSON *root = cJSON_Duplicate(recipe, 1);
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) cJSON_DeleteItemFromObjectCaseSensitive(root, later[i]);
    return cl_json_line(root, root != NULL);
}

/* Takes from a recipe what is not of each vector. */
static void strip(cJSON *recipe) {
    for (size_t i = 0; i < sizeof of_the_table / sizeof *of_the_table; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(recipe, of_the_table[i]);
}

/* A limit that is not the default goes along with a PCA: what it keeps out has no vector. */
static bool keep_limit(cJSON *recipe, const cJSON *table, const char *name, int64_t usual) {
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(table, name);
    if (!cJSON_IsNumber(limit) || limit->valuedouble == (double)usual) return true;
    return cJSON_AddNumberToObject(recipe, name, limit->valuedouble) != NULL;
}

char *cl_recipe_of_vectors(const char *table) {
    cJSON *root = cJSON_Parse(table), *all = cJSON_Duplicate(root, 1);
    coulis_image_options usual;
    coulis_image_options_init(&usual, sizeof usual);
    strip(root);
    const bool good = cJSON_IsObject(root) && all && keep_limit(root, all, "max_bytes", usual.max_bytes) &&
                      keep_limit(root, all, "max_pixels", usual.max_pixels);
    cJSON_Delete(all);
    return cl_json_line(root, good);
}

/* An entry of a recipe as a person reads it: "0.2.0", or "none". */
static void value_text(const cJSON *item, char *text, size_t capacity) {
    char *printed = item && !cJSON_IsString(item) ? cJSON_PrintUnformatted(item) : NULL;
    snprintf(text, capacity, "%s",
             cJSON_IsString(item) && item->valuestring[0] ? item->valuestring
             : printed                                    ? printed
                                                          : "none");
    cJSON_free(printed);
}

/* The sentence about the entry `key`, whose two values differ. */
static coulis_status refuse(const char *key, const cJSON *mine, const cJSON *theirs, const char *name,
                            coulis_error *error) {
    /* Two networks are told from one another by digest, but known by name. */
    const bool network = strncmp(key, "model", 5) == 0;
    const cJSON *my_name = cJSON_GetObjectItemCaseSensitive(mine, "model");
    const cJSON *their_name = cJSON_GetObjectItemCaseSensitive(theirs, "model");
    if (network && !cJSON_Compare(my_name, their_name, 1)) key = "model";
    char my_text[80], their_text[80];
    value_text(cJSON_GetObjectItemCaseSensitive(mine, key), my_text, sizeof my_text);
    value_text(cJSON_GetObjectItemCaseSensitive(theirs, key), their_text, sizeof their_text);
    return cl_fail(error, COULIS_CONFLICT,
                   "%s%swas fitted to vectors of another recipe: their %s is %s, that of these vectors is %s; "
                   "--allow-other-recipe transforms them all the same",
                   name ? name : "the PCA", name ? ": " : " ", strcmp(key, "coulis") == 0 ? "version of coulis" : key,
                   their_text, my_text);
}

/* Vectors of a cluster, whose machines may differ, do not say which instructions they come from. */
static bool is_open(const char *key, const cJSON *recipe) {
    return (strcmp(key, "instruction_set") == 0 || strcmp(key, "precision_instructions") == 0) &&
           !cJSON_GetObjectItemCaseSensitive(recipe, key);
}

coulis_status cl_recipe_compare(const char *vectors, const char *fitted, const char *name, coulis_error *error) {
    cJSON *mine = cJSON_Parse(vectors), *theirs = cJSON_Parse(fitted);
    coulis_status status = COULIS_OK;
    strip(mine);
    strip(theirs);
    if (!cJSON_IsObject(mine) || !cJSON_IsObject(theirs))
        status = cl_fail(error, COULIS_BAD_DATA, "%s: a recipe is not a JSON object", name ? name : "the PCA");
    for (int turn = 0; turn < 2; turn++) { /* an entry may stand in only one of them */
        const cJSON *item, *one = turn ? theirs : mine, *other = turn ? mine : theirs;
        cJSON_ArrayForEach(item, one) if (!status && !is_open(item->string, other) &&
                                          !cJSON_Compare(item, cJSON_GetObjectItemCaseSensitive(other, item->string),
                                                         1)) status = refuse(item->string, mine, theirs, name, error);
    }
    cJSON_Delete(mine);
    cJSON_Delete(theirs);
    return status;
}

coulis_status coulis_pca_check_recipe(const coulis_pca *pca, const char *vectors, const char *name,
                                      coulis_error *error) {
    if (!pca) return cl_fail(error, COULIS_INVALID_ARGUMENT, "pca_check_recipe: no model given");
    const char *fitted = coulis_pca_recipe(pca);
    coulis_status status = vectors && fitted ? cl_recipe_compare(vectors, fitted, name, error) : COULIS_OK;
    if (!status) cl_clear(error);
    return status;
}
