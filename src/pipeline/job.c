/* The command's verbs: list, featurize, fit, transform, and what of them is there already. */
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "base/text.h"
#include "base/threads.h"
#include "pca/pca.h"
#include "pipeline/clock.h"
#include "pipeline/featurize.h"
#include "pipeline/output.h"
#include "pipeline/recipe.h"
#include "pipeline/reduce.h"
#include "pipeline/summary.h"

#define ROWS_PER_FILE_MAX 100000000

void coulis_job_options_init(coulis_job_options *options) {
    *options = (coulis_job_options){.size = sizeof *options, .model = "efficientnet-lite0", .components = 0.99,
                                    .rows_per_file = 10000};
    coulis_image_options_init(&options->image);
}

void coulis_string_free(char *string) { cl_free(string); }

static coulis_status check_options(const coulis_job_options *options, coulis_error *error) {
    if (!options || options->size != sizeof *options || options->image.size != sizeof options->image)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "the job options were not set up by coulis_job_options_init");
    if (options->precision < COULIS_PRECISION_FLOAT32 || options->precision > COULIS_PRECISION_INT8)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "no such precision: %d", options->precision);
    if (options->rows_per_file < 1 || options->rows_per_file > ROWS_PER_FILE_MAX)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "rows per file must be 1 to %d", ROWS_PER_FILE_MAX);
    if (options->threads < 0 || options->threads > 1024)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "threads must be 0 (all cores) to 1024");
    if (!(options->components >= 0) || options->components > 1e9 ||
        (options->components >= 1 && options->components != (double)(int64_t)options->components))
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "components must be a whole number from 1, or a share of the variance between 0 and 1");
    return COULIS_OK;
}

/* What a job holds, released at its end. */
typedef struct job {
    const coulis_job_options *options;
    cl_list *list;
    coulis_model *model;
    coulis_model_info model_info;
    cl_table *table;
    cl_pool *pool;
    coulis_pca *pca;
    cl_output output;
    char *recipe, *features_recipe;
    cl_summary summary;
    coulis_error *error;
} job;

static void release(job *j) {
    cl_output_close(&j->output);
    cl_table_close(j->table);
    coulis_model_close(j->model);
    cl_list_free(j->list);
    cl_pool_free(j->pool);
    coulis_pca_free(j->pca);
    cl_free(j->recipe);
    cl_free(j->features_recipe);
}

static void took(job *j, coulis_stage stage, double began) {
    j->summary.seconds[stage] = cl_seconds() - began;
    j->summary.stages |= 1 << stage;
}

/* Hands the summary to the caller, and to run.json when there is a folder of output. */
static coulis_status finish(job *j, const char *output, const char *recipe, char **summary) {
    j->summary.output = output;
    j->summary.recipe = recipe;
    j->summary.pca = j->pca;
    char *text = cl_summary_json(&j->summary);
    if (!text) return cl_fail_memory(j->error, "the summary", 0);
    coulis_status status = COULIS_OK;
    if (j->output.run) status = cl_file_write(j->output.run, text, strlen(text), j->error);
    if (status == COULIS_OK && summary) *summary = text;
    else cl_free(text);
    return status;
}

/* The summary of a job that an earlier run completed. */
static coulis_status take_finished(job *j, char **summary) {
    if (summary) {
        *summary = j->output.summary;
        j->output.summary = NULL;
    }
    return COULIS_OK;
}

/* Lists the pictures, opens the model and settles the recipe of the vectors. */
static coulis_status begin(job *j, const char *const *paths, int64_t path_count, const char *output) {
    const double began = cl_seconds();
    coulis_status status = cl_list_create(paths, path_count, output, &j->list, j->error);
    took(j, COULIS_STAGE_LIST, began);
    if (status == COULIS_OK) status = coulis_model_open(j->options->model, 0, &j->model, j->error);
    if (status != COULIS_OK) return status;
    j->model_info.size = sizeof j->model_info;
    coulis_model_describe(j->model, &j->model_info);
    j->summary.model = &j->model_info;
    const int64_t lengths[] = {j->model_info.pooled_length, j->model_info.map_length, j->model_info.logits_length};
    if (j->options->features < 0 || j->options->features > COULIS_FEATURES_LOGITS)
        return cl_fail(j->error, COULIS_INVALID_ARGUMENT, "no such kind of features: %d", j->options->features);
    j->summary.length = lengths[j->options->features];
    j->summary.threads = j->options->threads > 0 ? j->options->threads : coulis_core_count();
    j->features_recipe = cl_recipe_features(j->options, &j->model_info, j->summary.length, j->list);
    return j->features_recipe ? COULIS_OK : cl_fail_memory(j->error, "the recipe", 0);
}

/* Makes the vectors that are missing and counts the rows by status. */
static coulis_status make_features(job *j) {
    const double began = cl_seconds();
    coulis_status status = cl_featurize(j->list, j->model, j->options, j->output.features, j->features_recipe,
                                        &j->summary.resumed, j->error);
    took(j, COULIS_STAGE_FEATURIZE, began);
    if (status == COULIS_OK) status = cl_table_open(j->output.features, "features", &j->table, j->error);
    if (status == COULIS_OK) status = cl_count_statuses(j->table, j->summary.counts, j->error);
    if (status == COULIS_OK && cl_table_rows(j->table) != cl_list_count(j->list))
        status = cl_fail(j->error, COULIS_BAD_DATA, "%s: holds %lld rows instead of %lld; start again with --overwrite",
                         j->output.features, (long long)cl_table_rows(j->table), (long long)cl_list_count(j->list));
    return status;
}

/* Fits the PCA, or takes the one that an earlier run of the same recipe saved. */
static coulis_status make_pca(job *j) {
    const double began = cl_seconds();
    coulis_status status;
    if (cl_path_exists(j->output.pca)) {
        status = coulis_pca_load(j->output.pca, &j->pca, j->error);
    } else if (cl_table_vectors(j->table) == 0) {
        status = cl_fail(j->error, COULIS_INVALID_ARGUMENT,
                         "none of the %lld pictures could be read, so there is nothing to fit a PCA to; see the column "
                         "'error' in %s",
                         (long long)cl_table_rows(j->table), j->output.features);
    } else {
        status = cl_fit_table(j->table, j->options, j->pool, &j->pca, j->error);
        if (status == COULIS_OK) status = coulis_pca_save(j->pca, j->output.pca, j->error);
    }
    took(j, COULIS_STAGE_FIT, began);
    return status;
}

static coulis_status make_reduced(job *j, const char *recipe) {
    const double began = cl_seconds();
    coulis_status status = cl_transform_table(j->table, j->pca, j->options, j->pool, j->output.reduced, recipe,
                                              j->error);
    took(j, COULIS_STAGE_TRANSFORM, began);
    return status;
}

/* What there is to do in the folder of output; `reduce` says whether the vectors are reduced too. */
static coulis_status run_stages(job *j, const char *output, const char *recipe, bool reduce, char **summary) {
    coulis_status status = cl_output_open(output, recipe, j->options->overwrite != 0, &j->output, j->error);
    if (status != COULIS_OK) return status;
    if (j->output.complete) {
        status = take_finished(j, summary);
    } else {
        status = make_features(j);
        if (reduce) {
            if (status == COULIS_OK) status = cl_pool_create(j->options->threads, &j->pool, j->error);
            if (status == COULIS_OK) status = make_pca(j);
            if (status == COULIS_OK) status = make_reduced(j, recipe);
        }
        if (status == COULIS_OK) status = finish(j, output, recipe, summary);
    }
    /* Only after run.json says complete: the vectors are not needed again. */
    if (status == COULIS_OK && reduce && j->options->drop_features)
        status = cl_output_remove_parts(j->output.features, j->error);
    return status;
}

static coulis_status over_pictures(const char *const *paths, int64_t path_count, const char *output,
                                   const coulis_job_options *options, bool reduce, char **summary,
                                   coulis_error *error) {
    coulis_status status = check_options(options, error);
    if (status != COULIS_OK) return status;
    if (!output) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no folder for the output given");
    job j = {.options = options, .output = {.lock = -1}, .error = error};
    status = begin(&j, paths, path_count, output);
    if (status == COULIS_OK && reduce) {
        j.recipe = cl_recipe_reduced(j.features_recipe, options->components, NULL);
        if (!j.recipe) status = cl_fail_memory(error, "the recipe", 0);
    }
    if (status == COULIS_OK)
        status = run_stages(&j, output, reduce ? j.recipe : j.features_recipe, reduce, summary);
    release(&j);
    if (status == COULIS_OK) cl_clear(error);
    return status;
}

coulis_status coulis_job_run(const char *const *paths, int64_t path_count, const char *output,
                             const coulis_job_options *options, char **summary, coulis_error *error) {
    return over_pictures(paths, path_count, output, options, true, summary, error);
}

coulis_status coulis_job_featurize(const char *const *paths, int64_t path_count, const char *output,
                                   const coulis_job_options *options, char **summary, coulis_error *error) {
    return over_pictures(paths, path_count, output, options, false, summary, error);
}

/* Opens the vectors in `input`: a folder that run or featurize wrote, or a folder of parts itself. */
static coulis_status open_vectors(job *j, const char *input) {
    char *below = cl_format("%s/features", input);
    if (!below) return cl_fail_memory(j->error, "a path", strlen(input));
    coulis_status status = cl_table_open(cl_path_exists(below) ? below : input, "features", &j->table, j->error);
    cl_free(below);
    if (status == COULIS_OK) status = cl_count_statuses(j->table, j->summary.counts, j->error);
    if (status == COULIS_OK) status = cl_pool_create(j->options->threads, &j->pool, j->error);
    if (status != COULIS_OK) return status;
    j->summary.length = cl_table_length(j->table);
    j->summary.threads = cl_pool_threads(j->pool);
    if (cl_table_vectors(j->table) == 0)
        return cl_fail(j->error, COULIS_INVALID_ARGUMENT, "%s: none of its %lld rows has a vector", input,
                       (long long)cl_table_rows(j->table));
    return COULIS_OK;
}

coulis_status coulis_job_fit(const char *input, const char *output, const coulis_job_options *options,
                             char **summary, coulis_error *error) {
    coulis_status status = check_options(options, error);
    if (status != COULIS_OK) return status;
    if (!input || !output) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no input or no output given");
    if (cl_path_exists(output) && !options->overwrite)
        return cl_fail(error, COULIS_CONFLICT, "%s: is there already; --overwrite replaces it", output);
    job j = {.options = options, .output = {.lock = -1}, .error = error};
    status = open_vectors(&j, input);
    const double began = cl_seconds();
    if (status == COULIS_OK) status = cl_fit_table(j.table, options, j.pool, &j.pca, error);
    if (status == COULIS_OK) status = coulis_pca_save(j.pca, output, error);
    took(&j, COULIS_STAGE_FIT, began);
    if (status == COULIS_OK) {
        j.recipe = cl_recipe_reduced(cl_table_recipe(j.table), options->components, NULL);
        status = j.recipe ? finish(&j, output, j.recipe, summary) : cl_fail_memory(error, "the recipe", 0);
    }
    release(&j);
    if (status == COULIS_OK) cl_clear(error);
    return status;
}

/* SHA-256 of the file a PCA came from, as part of the recipe of its scores. */
static coulis_status transform_recipe(job *j, const char *pca) {
    cl_safetensors *file;
    coulis_status status = cl_safetensors_open(pca, COULIS_BAD_DATA, &file, j->error);
    if (status != COULIS_OK) return status;
    j->recipe = cl_recipe_reduced(cl_table_recipe(j->table), (double)coulis_pca_components_count(j->pca),
                                  cl_safetensors_sha256(file));
    cl_safetensors_close(file);
    return j->recipe ? COULIS_OK : cl_fail_memory(j->error, "the recipe", 0);
}

coulis_status coulis_job_transform(const char *input, const char *pca, const char *output,
                                   const coulis_job_options *options, char **summary, coulis_error *error) {
    coulis_status status = check_options(options, error);
    if (status != COULIS_OK) return status;
    if (!input || !pca || !output)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "no input, no PCA or no output given");
    job j = {.options = options, .output = {.lock = -1}, .error = error};
    status = coulis_pca_load(pca, &j.pca, error);
    if (status == COULIS_OK) status = open_vectors(&j, input);
    if (status == COULIS_OK) status = transform_recipe(&j, pca);
    if (status == COULIS_OK) status = cl_output_open(output, j.recipe, options->overwrite != 0, &j.output, error);
    if (status == COULIS_OK && j.output.complete) {
        status = take_finished(&j, summary);
    } else if (status == COULIS_OK) {
        status = make_reduced(&j, j.recipe);
        if (status == COULIS_OK) status = finish(&j, output, j.recipe, summary);
    }
    release(&j);
    if (status == COULIS_OK) cl_clear(error);
    return status;
}
