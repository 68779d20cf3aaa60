/* The public functions called as they must not be: each refuses with a sentence, and releasing nothing does nothing. */
#include <string.h>

#include "tiny.h"

static coulis_error error;

/* The call is refused as an invalid argument, and something is said. */
#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        error.message[0] = '\0';                                                                                       \
        CHECK_MSG((call) == COULIS_INVALID_ARGUMENT, "%s", #call);                                                     \
        CHECK_MSG(error.message[0] != '\0', "%s says nothing", #call);                                                 \
    } while (0)

static void nothing_is_released(void) {
    coulis_model_close(NULL);
    coulis_featurizer_free(NULL);
    coulis_pca_free(NULL);
    coulis_moments_free(NULL);
    coulis_bytes_free(NULL);
    coulis_span_free(NULL);
    coulis_index_free(NULL);
    coulis_pairs_free(NULL);
    coulis_source_close(NULL);
    coulis_string_free(NULL);
    CHECK(!coulis_featurizer_recipe(NULL) && coulis_featurizer_length(NULL) == 0);
    CHECK(coulis_option_number(NULL, "x") < 0 && coulis_option_number("filter", NULL) < 0);
    CHECK(!coulis_option_word(NULL, 0) && !coulis_option_word("filter", 99) && !coulis_option_word("no", 0));
    CHECK(coulis_status_number("no such word") < 0);
    CHECK(coulis_span_rows(0) == 0 && coulis_moments_leaf_rows(0) <= 0);
}

static void networks_refuse(void) {
    char path[100];
    coulis_model *opened = NULL;
    coulis_featurizer *featurizer = NULL;
    coulis_model_info info;
    uint8_t pixels[32 * 32 * 3] = {0};
    float values[24];
    coulis_result result;
    REFUSED(coulis_model_find(NULL, path, sizeof path, &error));
    REFUSED(coulis_model_find("", path, sizeof path, &error));
    REFUSED(coulis_model_find("x", NULL, 0, &error));
    REFUSED(coulis_model_list(NULL, NULL, &error));
    REFUSED(coulis_model_open(NULL, NULL, &opened, &error));
    REFUSED(coulis_model_open(model, NULL, NULL, &error));
    CHECK(coulis_model_open(model, NULL, &opened, &error) == COULIS_OK);
    coulis_model_info_init(&info, sizeof info);
    REFUSED(coulis_model_describe(NULL, &info, &error));
    REFUSED(coulis_model_describe(opened, NULL, &error));
    CHECK(coulis_model_features_length(opened, -1) == 0 && coulis_model_features_length(NULL, 0) == 0);
    REFUSED(coulis_featurizer_create(NULL, NULL, &featurizer, &error));
    REFUSED(coulis_featurizer_create(opened, NULL, NULL, &error));
    coulis_featurizer_options options;
    coulis_featurizer_options_init(&options, sizeof options);
    coulis_image_options image;
    coulis_image_options_init(&image, sizeof image);
    options.image = &image;
    options.threads = -1;
    REFUSED(coulis_featurizer_create(opened, &options, &featurizer, &error));
    options.threads = 1;
    image.resize = COULIS_RESIZE_PUBLISHED; /* which this network has not */
    REFUSED(coulis_featurizer_create(opened, &options, &featurizer, &error));
    image.resize = 99;
    REFUSED(coulis_featurizer_create(opened, &options, &featurizer, &error));
    image.resize = COULIS_RESIZE_SQUASH;
    options.precision = 99;
    REFUSED(coulis_featurizer_create(opened, &options, &featurizer, &error));
    options.precision = COULIS_PRECISION_FLOAT32;
    CHECK(coulis_featurizer_create(opened, &options, &featurizer, &error) == COULIS_OK);
    const coulis_input input = {.path = "none"};
    const coulis_pixels given = {.width = 1, .height = 1, .channels = 2, .pixels = pixels};
    const int32_t token = 1;
    REFUSED(coulis_featurizer_run(NULL, &input, 1, values, &result, &error));
    REFUSED(coulis_featurizer_run(featurizer, NULL, 1, values, &result, &error));
    REFUSED(coulis_featurizer_run(featurizer, &input, -1, values, &result, &error));
    REFUSED(coulis_featurizer_run(featurizer, &input, 1, NULL, &result, &error));
    REFUSED(coulis_featurizer_run(featurizer, &input, 1, values, NULL, &error));
    REFUSED(coulis_featurizer_run_images(NULL, &given, 1, values, &result, &error));
    REFUSED(coulis_featurizer_run_images(featurizer, NULL, 1, values, &result, &error));
    REFUSED(coulis_featurizer_run_images(featurizer, &given, 1, values, &result, &error)); /* two channels */
    REFUSED(coulis_featurizer_run_pixels(NULL, pixels, 1, values, &error));
    REFUSED(coulis_featurizer_run_pixels(featurizer, NULL, 1, values, &error));
    REFUSED(coulis_featurizer_run_pixels(featurizer, pixels, -1, values, &error));
    REFUSED(coulis_featurizer_run_tokens(NULL, &token, 1, values, &error));
    REFUSED(coulis_featurizer_run_tokens(featurizer, &token, 1, values, &error)); /* it reads images */
    CHECK(coulis_featurizer_run(featurizer, NULL, 0, NULL, NULL, &error) == COULIS_OK);
    coulis_featurizer_free(featurizer);
    coulis_model_close(opened);
    uint8_t rgb[3];
    REFUSED(coulis_image_decode(NULL, 4, NULL, 1, 1, rgb, NULL, &error));
    REFUSED(coulis_image_decode(rgb, 3, NULL, 0, 1, rgb, NULL, &error));
    REFUSED(coulis_image_decode(rgb, 3, NULL, 1, 1, NULL, NULL, &error));
    REFUSED(coulis_image_load(NULL, NULL, 1, 1, rgb, NULL, &error));
}

static const float x[8] = {1, 2, 3, 5, 8, 1, 0, 4};

static void pca_refuses(void) {
    coulis_pca *pca = NULL;
    float out[8];
    REFUSED(coulis_pca_fit(NULL, 4, 2, NULL, &pca, &error));
    REFUSED(coulis_pca_fit(x, -1, 2, NULL, &pca, &error));
    REFUSED(coulis_pca_fit(x, 4, 2, NULL, NULL, &error));
    coulis_pca_options options;
    coulis_pca_options_init(&options, sizeof options);
    options.solver = 99;
    REFUSED(coulis_pca_fit(x, 4, 2, &options, &pca, &error));
    coulis_pca_options_init(&options, sizeof options);
    options.threads = -2;
    REFUSED(coulis_pca_fit(x, 4, 2, &options, &pca, &error));
    CHECK(coulis_pca_fit(x, 4, 2, NULL, &pca, &error) == COULIS_OK);
    REFUSED(coulis_pca_transform(NULL, x, 4, 1, out, &error));
    REFUSED(coulis_pca_transform(pca, NULL, 4, 1, out, &error));
    REFUSED(coulis_pca_transform(pca, x, -1, 1, out, &error));
    REFUSED(coulis_pca_inverse_transform(NULL, x, 4, out, &error));
    REFUSED(coulis_pca_inverse_transform(pca, x, 4, NULL, &error));
    REFUSED(coulis_pca_save(NULL, "x", &error));
    REFUSED(coulis_pca_save(pca, NULL, &error));
    REFUSED(coulis_pca_load(NULL, &pca, &error));
    REFUSED(coulis_pca_load("x", NULL, &error));
    REFUSED(coulis_pca_set_recipe(NULL, "{}", &error));
    REFUSED(coulis_pca_set_recipe(pca, "[1]", &error));
    REFUSED(coulis_pca_set_recipe(pca, "no JSON", &error));
    REFUSED(coulis_pca_check_recipe(NULL, "{}", NULL, &error));
    CHECK(coulis_pca_set_recipe(pca, "{\"model\": \"a\"}", &error) == COULIS_OK);
    CHECK(coulis_pca_check_recipe(pca, NULL, NULL, &error) == COULIS_OK);
    CHECK(coulis_pca_check_recipe(pca, "no JSON", NULL, &error) == COULIS_BAD_DATA);
    CHECK(coulis_pca_check_recipe(pca, "{\"model\": \"b\"}", "mine", &error) == COULIS_CONFLICT);
    CHECK(strstr(error.message, "mine") != NULL);
    CHECK(coulis_pca_set_recipe(pca, NULL, &error) == COULIS_OK && !coulis_pca_recipe(pca));
    coulis_pca_free(pca);
}

static void moments_refuse(void) {
    coulis_moments *one = NULL, *other = NULL;
    coulis_pca *pca = NULL;
    void *bytes = NULL;
    size_t size;
    REFUSED(coulis_moments_create(2, NULL, NULL, &error));
    REFUSED(coulis_moments_create(0, NULL, &one, &error));
    CHECK(coulis_moments_create(2, NULL, &one, &error) == COULIS_OK);
    CHECK(coulis_moments_create(3, NULL, &other, &error) == COULIS_OK);
    REFUSED(coulis_moments_update(NULL, x, 1, &error));
    REFUSED(coulis_moments_update(one, NULL, 1, &error));
    REFUSED(coulis_moments_update(one, x, -1, &error));
    REFUSED(coulis_moments_merge(NULL, one, &error));
    REFUSED(coulis_moments_merge(one, NULL, &error));
    REFUSED(coulis_moments_merge(one, other, &error));
    REFUSED(coulis_moments_finish(NULL, NULL, &pca, &error));
    REFUSED(coulis_moments_finish(one, NULL, NULL, &error));
    REFUSED(coulis_moments_save(NULL, &bytes, &size, &error));
    REFUSED(coulis_moments_save(one, NULL, &size, &error));
    REFUSED(coulis_moments_load(NULL, 9, NULL, &one, &error));
    coulis_moments_free(one);
    coulis_moments_free(other);
}

static int32_t no_statistics(void *context, double *sums, float *lowest, float *highest) {
    (void)context, (void)sums, (void)lowest, (void)highest;
    return COULIS_INTERRUPTED;
}

static int32_t no_products(void *context, const double *mean, double scale, const float *vectors, int64_t count,
                           double *products, double *squares) {
    (void)context, (void)mean, (void)scale, (void)vectors, (void)count, (void)products, (void)squares;
    return COULIS_INTERRUPTED;
}

static void spans_refuse(void) {
    coulis_span *span = NULL, *measuring = NULL;
    coulis_pca *pca = NULL;
    const double mean[2] = {0, 0};
    double sums[2], products[2], squares[2];
    float lowest[2], highest[2];
    REFUSED(coulis_span_create(0, NULL, 0, NULL, 0, 1, &span, &error));
    REFUSED(coulis_span_create(2, NULL, 0, NULL, 0, 1, NULL, &error));
    REFUSED(coulis_span_create(2, mean, 0, x, 1, 1, &span, &error));
    REFUSED(coulis_span_create(2, NULL, 1, x, 1, 1, &span, &error));
    REFUSED(coulis_span_create(2, NULL, 0, NULL, 0, -1, &span, &error));
    CHECK(coulis_span_create(2, NULL, 0, NULL, 0, 1, &span, &error) == COULIS_OK);
    CHECK(coulis_span_create(2, mean, 1, x, 1, 1, &measuring, &error) == COULIS_OK);
    REFUSED(coulis_span_add(NULL, x, 1, &error));
    REFUSED(coulis_span_add(span, NULL, 1, &error));
    REFUSED(coulis_span_add(span, x, -1, &error));
    REFUSED(coulis_span_add(span, x, coulis_span_rows(2) + 1, &error));
    REFUSED(coulis_span_statistics(span, sums, lowest, highest, &error)); /* no rows */
    REFUSED(coulis_span_products(measuring, products, squares, &error));
    REFUSED(coulis_span_products(span, products, squares, &error)); /* no vectors */
    REFUSED(coulis_span_statistics(measuring, sums, lowest, highest, &error));
    REFUSED(coulis_span_statistics(NULL, sums, lowest, highest, &error));
    REFUSED(coulis_span_products(NULL, products, squares, &error));
    coulis_span_free(span);
    coulis_span_free(measuring);
    coulis_spans spans = {.size = sizeof spans, .rows = 4, .cols = 2, .statistics = no_statistics};
    REFUSED(coulis_pca_fit_spans(NULL, NULL, &pca, &error));
    REFUSED(coulis_pca_fit_spans(&spans, NULL, &pca, &error)); /* no products */
    spans.products = no_products;
    REFUSED(coulis_pca_fit_spans(&spans, NULL, NULL, &error));
    coulis_pca_options options;
    coulis_pca_options_init(&options, sizeof options);
    options.solver = COULIS_SOLVER_COVARIANCE;
    options.components = 1;
    REFUSED(coulis_pca_fit_spans(&spans, &options, &pca, &error));
    options.solver = COULIS_SOLVER_AUTO;
    CHECK(coulis_pca_fit_spans(&spans, &options, &pca, &error) == COULIS_INTERRUPTED);
}

static void indexes_refuse(void) {
    coulis_index *index = NULL, *other = NULL;
    coulis_pairs *pairs = NULL;
    float similarity[4];
    int64_t row[4];
    REFUSED(coulis_index_create(NULL, 4, 2, NULL, &index, &error));
    REFUSED(coulis_index_create(x, 4, 2, NULL, NULL, &error));
    REFUSED(coulis_index_create(x, -1, 2, NULL, &index, &error));
    CHECK(coulis_index_create(x, 4, 2, NULL, &index, &error) == COULIS_OK);
    CHECK(coulis_index_create(x, 2, 4, NULL, &other, &error) == COULIS_OK);
    REFUSED(coulis_index_search(NULL, x, 1, 1, similarity, row, &error));
    REFUSED(coulis_index_search(index, NULL, 1, 1, similarity, row, &error));
    REFUSED(coulis_index_search(index, x, 1, 0, similarity, row, &error));
    REFUSED(coulis_index_pairs(NULL, NULL, 0.5, &pairs, &error));
    REFUSED(coulis_index_pairs(index, NULL, 0.5, NULL, &error));
    REFUSED(coulis_index_pairs(index, other, 0.5, &pairs, &error));
    REFUSED(coulis_index_pairs(index, NULL, 2, &pairs, &error));
    coulis_index_free(index);
    coulis_index_free(other);
}

/* The options of a job, one of them wrong. */
#define REFUSED_WITH(change)                                                                                           \
    do {                                                                                                               \
        coulis_job_options options = tiny_options(1);                                                                  \
        change;                                                                                                        \
        REFUSED(run_into("refused", &options, &error));                                                                \
    } while (0)

static void jobs_refuse(void) {
    coulis_job_options sound = tiny_options(1);
    const char *const nothing[] = {""}, *const shards[] = {images};
    char *json = NULL;
    REFUSED_WITH(options.model = NULL);
    REFUSED_WITH(options.threads = -1);
    REFUSED_WITH(options.rows_per_file = 0);
    REFUSED_WITH(options.components = 1.5);
    REFUSED_WITH(options.components = -1);
    REFUSED_WITH((options.shard = 3, options.shards = 2));
    REFUSED_WITH((options.shard = 1, options.shards = 2, options.pca = "x"));
    REFUSED_WITH((options.shard = 1, options.shards = 0));
    REFUSED_WITH((options.keep_pca = 1, options.overwrite = 1));
    REFUSED(coulis_job_run(nothing, 1, "x", &sound, NULL, NULL, &error));
    REFUSED(coulis_job_run(shards, 1, NULL, &sound, NULL, NULL, &error));
    REFUSED(coulis_job_fit(NULL, "x", &sound, NULL, NULL, &error));
    REFUSED(coulis_job_fit("x", NULL, &sound, NULL, NULL, &error));
    REFUSED(coulis_job_transform(NULL, "x", "y", &sound, NULL, NULL, &error));
    REFUSED(coulis_job_transform("x", NULL, "y", &sound, NULL, NULL, &error));
    REFUSED(coulis_job_apply(shards, 1, NULL, "y", &sound, NULL, NULL, &error));
    REFUSED(coulis_job_merge(NULL, 0, "x", &sound, NULL, NULL, &error));
    REFUSED(coulis_job_verify(NULL, &json, &error));
    CHECK(coulis_job_verify(images, &json, &error) != COULIS_OK && !json); /* no result */
}

static void sources_refuse(void) {
    const char *const paths[] = {images}, *const empty[] = {""}, *const none[] = {NULL};
    coulis_source *source = NULL;
    REFUSED(coulis_source_open(NULL, 1, NULL, NULL, &source, &error));
    REFUSED(coulis_source_open(paths, -1, NULL, NULL, &source, &error));
    REFUSED(coulis_source_open(paths, 1, NULL, NULL, NULL, &error));
    REFUSED(coulis_source_open(empty, 1, NULL, NULL, &source, &error));
    REFUSED(coulis_source_open(none, 1, NULL, NULL, &source, &error));
    CHECK(coulis_source_open(paths, 1, NULL, NULL, &source, &error) == COULIS_OK);
    REFUSED(coulis_source_write(NULL, "x.csv", NULL, &error));
    REFUSED(coulis_source_write(source, NULL, NULL, &error));
    REFUSED(coulis_source_write(source, "x.txt", NULL, &error));
    coulis_source_close(source);
    REFUSED(coulis_check(NULL, NULL, NULL, NULL, &error));
    CHECK(!coulis_source_serves(NULL));
}

/* The options of a collection, one of them wrong. */
#define REFUSED_BY_COLLECTIONS(change)                                                                                 \
    do {                                                                                                               \
        coulis_collection_options options;                                                                             \
        coulis_collection_options_init(&options, sizeof options);                                                      \
        change;                                                                                                        \
        REFUSED(coulis_export(images, "x.csv", &options, &json, &error));                                              \
    } while (0)

static void collections_refuse(void) {
    char *json = NULL;
    const char *const query[] = {"0"};
    REFUSED_BY_COLLECTIONS(options.threads = 5000);
    REFUSED_BY_COLLECTIONS(options.threads = -1);
    REFUSED_BY_COLLECTIONS(options.k = 0);
    REFUSED_BY_COLLECTIONS(options.k = 2000000);
    REFUSED_BY_COLLECTIONS(options.threshold = 1.5);
    REFUSED_BY_COLLECTIONS(options.threshold = -1.5);
    REFUSED_BY_COLLECTIONS(options.seed = -1);
    REFUSED_BY_COLLECTIONS(options.max_bytes = -1);
    REFUSED_BY_COLLECTIONS(options.what = 2);
    REFUSED_BY_COLLECTIONS(options.what = -1);
    REFUSED_BY_COLLECTIONS(options.dtype = 2);
    REFUSED_BY_COLLECTIONS(options.dtype = -1);
    REFUSED(coulis_search(NULL, query, 1, NULL, &json, &error));
    REFUSED(coulis_search(images, NULL, 1, NULL, &json, &error));
    REFUSED(coulis_search(images, query, 0, NULL, &json, &error));
    REFUSED(coulis_dedup(NULL, NULL, "x.csv", NULL, &json, &error));
    REFUSED(coulis_dedup(images, NULL, NULL, NULL, &json, &error));
    REFUSED(coulis_dedup(images, NULL, "x.txt", NULL, &json, &error));
    REFUSED(coulis_cluster(NULL, "x", NULL, &json, &error));
    REFUSED(coulis_export(NULL, "x.csv", NULL, &json, &error));
    REFUSED(coulis_export(images, NULL, NULL, &json, &error));
    REFUSED(coulis_export(images, "x.txt", NULL, &json, &error));
    REFUSED(coulis_view(NULL, "x.html", NULL, &json, &error));
    REFUSED(coulis_view(images, NULL, NULL, &json, &error));
    REFUSED(coulis_contact_sheet(NULL, NULL, "x.html", NULL, &error));
    REFUSED(coulis_contact_sheet("[]", NULL, NULL, NULL, &error));
    REFUSED(coulis_contact_sheet("{\"path\": 1}", NULL, "x.html", NULL, &error));
    REFUSED(coulis_contact_sheet("no JSON", NULL, "x.html", NULL, &error));
    CHECK(!json);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    if (!set_up()) {
        printf("cannot make files in %s\n0 passed, 1 failed, 0 skipped\n", folder);
        return 1;
    }
    RUN(nothing_is_released);
    RUN(networks_refuse);
    RUN(pca_refuses);
    RUN(moments_refuse);
    RUN(spans_refuse);
    RUN(indexes_refuse);
    RUN(jobs_refuse);
    RUN(sources_refuse);
    RUN(collections_refuse);
    remove_all(folder);
    return test_finish();
}
