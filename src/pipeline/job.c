/* The command's verbs: list, featurize, fit, transform, and what of them is there already. */
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "base/sized.h"
#include "base/text.h"
#include "base/threads.h"
#include "pca/model.h"
#include "pca/pca.h"
#include "pipeline/clock.h"
#include "pipeline/featurize.h"
#include "pipeline/featurizer.h"
#include "pipeline/options.h"
#include "pipeline/output.h"
#include "pipeline/overwrite.h"
#include "pipeline/recipe.h"
#include "pipeline/reduce.h"
#include "pipeline/review.h"
#include "pipeline/summary.h"
#include "source/inputs.h"
#include "source/location.h"

void coulis_string_free(char *string) { cl_free(string); }

/* What a job holds, released at its end. */
typedef struct job {
    cl_job_options own;
    const coulis_job_options *options; /* &own.job, complete */
    coulis_job_result *result;         /* the caller's, may be NULL */
    char **json;                       /* likewise */
    cl_inputs *inputs;                 /* made here; NULL when the caller brought a source */
    coulis_source source;
    coulis_model *model;
    coulis_model_info model_info;
    cl_table *table;
    cl_pool *pool;
    coulis_pca *pca;
    cl_output output;
    char *recipe, *features_recipe;
    cl_spread spread; /* of the rows that a PCA of others reduces */
    double share;
    cl_summary summary;
    coulis_error *error;
} job;

static void release(job *j) {
    cl_output_close(&j->output);
    cl_table_close(j->table);
    coulis_model_close(j->model);
    cl_inputs_close(j->inputs);
    cl_pool_free(j->pool);
    coulis_pca_free(j->pca);
    cl_spread_free(&j->spread);
    cl_free(j->recipe);
    cl_free(j->features_recipe);
}

static void took(job *j, coulis_stage stage, double began) {
    j->summary.result.seconds[stage] = cl_seconds() - began;
    j->summary.stages |= 1 << stage;
}

/* Hands numbers and text to the caller; the text is theirs then, or released. */
static coulis_status hand_over(job *j, const coulis_job_result *numbers, char *text) {
    bool good = !j->result || cl_sized_write(j->result, numbers, sizeof *numbers);
    if (good && j->json) *j->json = text;
    else cl_free(text);
    return good ? COULIS_OK
                : cl_fail(j->error, COULIS_INVALID_ARGUMENT,
                          "coulis_job_result: not set up; call coulis_job_result_init first");
}

/* Completes the summary, and writes it to run.json when there is a folder of output. */
static coulis_status finish(job *j, const char *output, const char *recipe) {
    j->summary.output = output;
    j->summary.recipe = recipe;
    j->summary.pca = j->pca;
    if (j->output.run) {
        j->summary.parts = &j->output.parts;
        j->summary.root = j->output.root;
        j->summary.reduced_only = j->options->drop_features && j->pca;
    }
    cl_summary_complete(&j->summary);
    char *text = cl_summary_json(&j->summary);
    if (!text) return cl_fail_memory(j->error, "the summary", 0);
    if (j->output.run) {
        coulis_status status = cl_output_finish(&j->output, text, j->error);
        if (status != COULIS_OK) {
            cl_free(text);
            return status;
        }
    }
    return hand_over(j, &j->summary.result, text);
}

/* The summary of a job that an earlier run completed. */
static coulis_status take_finished(job *j) {
    coulis_job_result numbers;
    coulis_status status = cl_summary_read(j->output.summary, j->output.run, &numbers, j->error);
    if (status != COULIS_OK) return status;
    j->summary.result = numbers;
    char *text = j->output.summary;
    j->output.summary = NULL;
    return hand_over(j, &numbers, text);
}

/* Opens what the paths stand for, or takes the caller's source. */
static coulis_status open_source(job *j, const char *const *paths, int64_t path_count, const char *output) {
    if (!j->options->source) {
        coulis_status status = cl_inputs_open(paths, path_count, j->options->choose, output, &j->inputs, j->error);
        if (status == COULIS_OK) j->source = j->inputs->table;
        return status;
    }
    coulis_status status = cl_sized_read(j->options->source, "coulis_source", &j->source, sizeof j->source, j->error);
    if (status == COULIS_OK && (path_count > 0 || !j->source.next || !j->source.read || !j->source.release))
        status = cl_fail(j->error, COULIS_INVALID_ARGUMENT,
                         "coulis_source: next, read or release is missing, or paths were given too");
    return status;
}

/* Lists the images, opens the model and settles the recipe of the vectors. */
static coulis_status begin(job *j, const char *const *paths, int64_t path_count, const char *output) {
    const double began = cl_seconds();
    coulis_status status = open_source(j, paths, path_count, output);
    took(j, COULIS_STAGE_LIST, began);
    if (status == COULIS_OK) status = coulis_model_open(j->options->model, 0, &j->model, j->error);
    if (status != COULIS_OK) return status;
    status = cl_settle_resize(j->model, &j->own.featurizer.image, j->error);
    if (status != COULIS_OK) return status;
    coulis_model_info_init(&j->model_info, sizeof j->model_info);
    status = coulis_model_describe(j->model, &j->model_info, j->error);
    if (status != COULIS_OK) return status;
    j->summary.model = &j->model_info;
    const int64_t length = coulis_model_features_length(j->model, j->options->featurizer->features);
    j->summary.result.length = length;
    j->summary.threads = j->options->threads > 0 ? j->options->threads : coulis_core_count();
    j->features_recipe = cl_recipe_features(j->options, &j->model_info, length, &j->source);
    return j->features_recipe ? COULIS_OK : cl_fail_memory(j->error, "the recipe", 0);
}

/* The PCA says to which vectors it was fitted, if the table says so: other programs may have no JSON object there. */
static coulis_status give_recipe(job *j, const char *table) {
    char *recipe = table ? cl_recipe_of_vectors(table) : NULL;
    if (table && table[0] == '{' && !recipe) return cl_fail_memory(j->error, "the recipe", strlen(table));
    coulis_status status = recipe ? coulis_pca_set_recipe(j->pca, recipe, j->error) : COULIS_OK;
    cl_free(recipe);
    return status;
}

static cl_file_state state_of_image(const void *context, int64_t row) { return cl_inputs_state(context, row); }

/* Makes the vectors that are missing and counts the rows by status. */
static coulis_status make_features(job *j) {
    const double began = cl_seconds();
    int64_t missing, rows = 0;
    const bool tells = j->inputs && cl_inputs_tell_states(j->inputs);
    const cl_images images = {.count = j->source.count, .rows_per_file = j->options->rows_per_file,
                              .state = tells ? state_of_image : NULL, .context = j->inputs};
    coulis_status status = cl_review_features(&j->output.parts, &images, j->features_recipe, &missing, j->error);
    /* A PCA of other vectors than these will be. */
    if (status == COULIS_OK && missing > 0 && j->recipe) status = cl_output_forget_pca(&j->output, j->error);
    if (status == COULIS_OK)
        status = cl_featurize(&j->source, j->model, j->options, &images, j->output.features, j->features_recipe,
                              &j->output.parts, &rows, &j->summary.result.resumed, j->error);
    took(j, COULIS_STAGE_FEATURIZE, began);
    if (j->inputs) cl_inputs_count(j->inputs, &j->summary.result);
    if (status == COULIS_OK && rows == 0)
        status = cl_fail(j->error, COULIS_MISSING, "there are no images in what was given");
    if (status == COULIS_OK) status = cl_table_open(j->output.features, "features", &j->table, j->error);
    if (status == COULIS_OK) status = cl_count_statuses(j->table, &j->summary.result, j->error);
    if (status == COULIS_OK && cl_table_rows(j->table) != rows)
        status = cl_fail(j->error, COULIS_BAD_DATA, "%s: has %lld rows instead of %lld; start over with --overwrite",
                         j->output.features, (long long)cl_table_rows(j->table), (long long)rows);
    return status;
}

/* Saves the PCA with the recipe of its vectors, and writes it down before it has its name. */
static coulis_status save_pca(job *j) {
    cl_part_record record = {.kind = CL_KIND_PCA, .facts.rows = coulis_pca_components_count(j->pca)};
    coulis_status status = j->options->pca ? COULIS_OK : give_recipe(j, j->features_recipe);
    cl_new_file file;
    if (status == COULIS_OK) status = cl_pca_stage(j->pca, j->output.pca, &file, j->error);
    if (status == COULIS_OK) status = cl_new_file_flush(&file, j->error);
    if (status != COULIS_OK) return status;
    record.facts.bytes = file.bytes;
    memcpy(record.facts.sha256, file.sha256, sizeof record.facts.sha256);
    status = cl_parts_promise(&j->output.parts, &record, j->error);
    if (status == COULIS_OK) return cl_new_file_commit(&file, j->error);
    cl_new_file_abort(&file);
    return status;
}

/* Fits the PCA, or takes the given one, or the one that an earlier run of the same recipe saved. */
static coulis_status make_pca(job *j) {
    const double began = cl_seconds();
    bool there;
    coulis_status status = cl_review_pca(&j->output.parts, &there, j->error);
    /* Scores of a PCA that is not there any more must not stand beside those of another. */
    if (status == COULIS_OK && !there) status = cl_output_forget_pca(&j->output, j->error);
    if (status != COULIS_OK) return status;
    if (j->options->pca) {
        if (!there) status = save_pca(j);
    } else if (there) {
        status = coulis_pca_load(j->output.pca, &j->pca, j->error);
    } else if (cl_table_vectors(j->table) == 0) {
        status = cl_fail(j->error, COULIS_INVALID_ARGUMENT,
                         "none of the %lld pictures could be read, so there is nothing to fit a PCA to; see the column "
                         "'error' in %s",
                         (long long)cl_table_rows(j->table), j->output.features);
    } else {
        status = cl_fit_table(j->table, j->options, j->pool, &j->pca, j->error);
        if (status == COULIS_OK) status = save_pca(j);
    }
    took(j, COULIS_STAGE_FIT, began);
    return status;
}

/* `measured`: the PCA is not of these rows, so what share of their variance the scores hold is found out. */
static coulis_status make_reduced(job *j, const char *recipe, const char *pca_sha256, bool measured) {
    const double began = cl_seconds();
    const cl_scores_to to = {.folder = j->output.reduced, .recipe = recipe, .pca_sha256 = pca_sha256,
                             .parts = &j->output.parts, .spread = measured ? &j->spread : NULL};
    coulis_status status = cl_review_reduced(&j->output.parts, cl_table_parts(j->table), recipe, pca_sha256, j->error);
    if (status == COULIS_OK && measured) status = cl_spread_begin(&j->spread, j->pca, j->error);
    if (status == COULIS_OK) status = cl_transform_table(j->table, j->pca, j->options, j->pool, &to, j->error);
    if (status == COULIS_OK && measured) {
        j->share = cl_spread_share(&j->spread);
        j->summary.share = &j->share;
    }
    took(j, COULIS_STAGE_TRANSFORM, began);
    return status;
}

/* run.json of a finished job, which says that the vectors are not part of the result any more. */
static coulis_status drop_from_summary(job *j) {
    char *text = cl_summary_without_features(j->output.summary);
    if (!text) return cl_fail_memory(j->error, "the summary", 0);
    cl_free(j->output.summary);
    j->output.summary = text;
    return cl_file_write(j->output.run, text, strlen(text), j->error);
}

/* Whether the vectors are not to stay: where a PCA has been made of them. */
static bool drops(const job *j, bool reduce) {
    return reduce && j->options->drop_features && cl_parts_find(&j->output.parts, CL_KIND_PCA, 0);
}

/* What there is to do in the folder of output; `reduce` says whether the vectors are reduced too. */
static coulis_status run_stages(job *j, const char *output, const char *recipe, bool reduce) {
    coulis_status status = cl_output_open(output, recipe, j->inputs ? j->inputs->root : NULL,
                                          j->options->overwrite != 0, &j->output, j->error);
    if (status != COULIS_OK) return status;
    if (j->output.complete) {
        if (drops(j, reduce)) status = cl_overwrite_find(&j->output, CL_KIND_FEATURES, j->error);
        if (status == COULIS_OK && drops(j, reduce)) status = drop_from_summary(j);
        if (status == COULIS_OK) status = take_finished(j);
    } else {
        status = make_features(j);
        /* One vector alone has no principal components: its job is to have been made. */
        if (reduce && (j->options->pca || !(status == COULIS_OK && cl_table_vectors(j->table) == 1))) {
            if (status == COULIS_OK) status = cl_pool_create(j->options->threads, &j->pool, j->error);
            if (status == COULIS_OK) status = make_pca(j);
            if (status == COULIS_OK) {
                char sha256[CL_SHA256_TEXT]; /* the list of parts moves as it grows */
                memcpy(sha256, cl_parts_find(&j->output.parts, CL_KIND_PCA, 0)->facts.sha256, sizeof sha256);
                status = make_reduced(j, recipe, sha256, j->options->pca != NULL);
            }
        }
        if (status == COULIS_OK) status = finish(j, output, recipe);
    }
    /* Only after run.json says complete: the vectors are not needed again. */
    if (status == COULIS_OK && drops(j, reduce))
        status = cl_output_remove_parts(&j->output, CL_KIND_FEATURES, j->error);
    return status;
}

/* Sets up a job of the caller's options and places for results; release is due also when it fails. */
static coulis_status begin_job(job *j, const coulis_job_options *options, coulis_job_result *result, char **json,
                               coulis_error *error) {
    *j = (job){.options = &j->own.job, .result = result, .json = json, .output = {.lock = -1}, .error = error};
    return cl_job_options_read(options, &j->own, error);
}

static coulis_status end_job(job *j, coulis_status status) {
    release(j);
    if (status == COULIS_OK) cl_clear(j->error);
    return status;
}

/* Results are written on this machine: an address elsewhere would be a folder of that name. */
static coulis_status check_output(const char *output, coulis_error *error) {
    if (!output) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no place for the output given");
    if (!cl_location_has_scheme(output)) return COULIS_OK;
    return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: '%.*s' is not served as output; name a folder of this machine",
                   output, (int)(strstr(output, "://") + 3 - output), output);
}

/* Loads the PCA that takes the place of a fit; it must be of vectors like these. */
static coulis_status load_given(job *j, char sha256[CL_SHA256_TEXT]) {
    const char *pca = j->options->pca;
    int64_t bytes;
    coulis_status status = coulis_pca_load(pca, &j->pca, j->error);
    if (status == COULIS_OK && !j->options->allow_other_recipe)
        status = coulis_pca_check_recipe(j->pca, j->features_recipe, pca, j->error);
    return status == COULIS_OK ? cl_file_sha256(pca, &bytes, sha256, j->error) : status;
}

static coulis_status over_pictures(job *j, const char *const *paths, int64_t path_count, const char *output,
                                   bool reduce) {
    const bool given = reduce && j->options->pca;
    char sha256[CL_SHA256_TEXT];
    coulis_status status = check_output(output, j->error);
    if (status == COULIS_OK) status = begin(j, paths, path_count, output);
    if (status == COULIS_OK && given) status = load_given(j, sha256);
    if (status == COULIS_OK && reduce) {
        const double components = given ? (double)coulis_pca_components_count(j->pca) : j->options->components;
        j->recipe = cl_recipe_reduced(j->features_recipe, components, given ? sha256 : NULL, NULL);
        if (!j->recipe) status = cl_fail_memory(j->error, "the recipe", 0);
    }
    return status == COULIS_OK ? run_stages(j, output, reduce ? j->recipe : j->features_recipe, reduce) : status;
}

coulis_status coulis_job_run(const char *const *paths, int64_t path_count, const char *output,
                             const coulis_job_options *options, coulis_job_result *result, char **json,
                             coulis_error *error) {
    job j;
    coulis_status status = begin_job(&j, options, result, json, error);
    return end_job(&j, status ? status : over_pictures(&j, paths, path_count, output, true));
}

coulis_status coulis_job_featurize(const char *const *paths, int64_t path_count, const char *output,
                                   const coulis_job_options *options, coulis_job_result *result, char **json,
                                   coulis_error *error) {
    job j;
    coulis_status status = begin_job(&j, options, result, json, error);
    return end_job(&j, status ? status : over_pictures(&j, paths, path_count, output, false));
}

/* Opens the vectors in `input`: a folder that run or featurize wrote, or a folder of parts itself. */
static coulis_status open_vectors(job *j, const char *input) {
    char *below = cl_format("%s/features", input);
    if (!below) return cl_fail_memory(j->error, "a path", strlen(input));
    coulis_status status = cl_table_open(cl_path_exists(below) ? below : input, "features", &j->table, j->error);
    cl_free(below);
    if (status == COULIS_OK) status = cl_count_statuses(j->table, &j->summary.result, j->error);
    if (status == COULIS_OK) status = cl_pool_create(j->options->threads, &j->pool, j->error);
    if (status != COULIS_OK) return status;
    j->summary.result.length = cl_table_length(j->table);
    j->summary.threads = cl_pool_threads(j->pool);
    status = cl_check_recipes(j->table, j->error);
    if (status != COULIS_OK) return status;
    if (cl_table_vectors(j->table) == 0)
        return cl_fail(j->error, COULIS_INVALID_ARGUMENT, "%s: none of its %lld rows has a vector", input,
                       (long long)cl_table_rows(j->table));
    return COULIS_OK;
}

static coulis_status fit(job *j, const char *input, const char *output) {
    if (!input) return cl_fail(j->error, COULIS_INVALID_ARGUMENT, "no input given");
    coulis_status status = check_output(output, j->error);
    if (status != COULIS_OK) return status;
    if (cl_path_exists(output) && !j->options->overwrite)
        return cl_fail(j->error, COULIS_CONFLICT, "%s: already exists; --overwrite replaces it", output);
    status = open_vectors(j, input);
    const double began = cl_seconds();
    if (status == COULIS_OK) status = cl_fit_table(j->table, j->options, j->pool, &j->pca, j->error);
    if (status == COULIS_OK) status = give_recipe(j, cl_table_recipe(j->table));
    if (status == COULIS_OK) status = coulis_pca_save(j->pca, output, j->error);
    took(j, COULIS_STAGE_FIT, began);
    if (status != COULIS_OK) return status;
    j->recipe = cl_recipe_reduced(cl_table_recipe(j->table), j->options->components, NULL, NULL);
    return j->recipe ? finish(j, output, j->recipe) : cl_fail_memory(j->error, "the recipe", 0);
}

coulis_status coulis_job_fit(const char *input, const char *output, const coulis_job_options *options,
                             coulis_job_result *result, char **json, coulis_error *error) {
    job j;
    coulis_status status = begin_job(&j, options, result, json, error);
    return end_job(&j, status ? status : fit(&j, input, output));
}

/* The recipe of scores holds the digests of both files they are made of. */
static coulis_status transform_recipe(job *j, const char *pca, char pca_sha256[CL_SHA256_TEXT]) {
    char table[CL_SHA256_TEXT];
    int64_t bytes;
    coulis_status status = cl_file_sha256(pca, &bytes, pca_sha256, j->error);
    if (status == COULIS_OK) status = cl_table_sha256(j->table, table, j->error);
    if (status != COULIS_OK) return status;
    j->recipe = cl_recipe_reduced(cl_table_recipe(j->table), (double)coulis_pca_components_count(j->pca), pca_sha256,
                                  table);
    return j->recipe ? COULIS_OK : cl_fail_memory(j->error, "the recipe", 0);
}

static coulis_status transform(job *j, const char *input, const char *pca, const char *output) {
    if (!input || !pca) return cl_fail(j->error, COULIS_INVALID_ARGUMENT, "no input or no PCA given");
    coulis_status status = check_output(output, j->error);
    if (status == COULIS_OK) status = coulis_pca_load(pca, &j->pca, j->error);
    if (status == COULIS_OK) status = open_vectors(j, input);
    if (status == COULIS_OK && !j->options->allow_other_recipe)
        status = coulis_pca_check_recipe(j->pca, cl_table_recipe(j->table), pca, j->error);
    char sha256[CL_SHA256_TEXT];
    if (status == COULIS_OK) status = transform_recipe(j, pca, sha256);
    if (status == COULIS_OK)
        status = cl_output_open(output, j->recipe, NULL, j->options->overwrite != 0, &j->output, j->error);
    if (status != COULIS_OK) return status;
    if (j->output.complete) return take_finished(j);
    status = make_reduced(j, j->recipe, sha256, true);
    return status == COULIS_OK ? finish(j, output, j->recipe) : status;
}

coulis_status coulis_job_transform(const char *input, const char *pca, const char *output,
                                   const coulis_job_options *options, coulis_job_result *result, char **json,
                                   coulis_error *error) {
    job j;
    coulis_status status = begin_job(&j, options, result, json, error);
    return end_job(&j, status ? status : transform(&j, input, pca, output));
}
