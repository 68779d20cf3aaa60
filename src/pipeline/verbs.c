/* The command's verbs: list, featurize, fit, transform, and what of them already exists. */
#include "base/files.h"
#include "pca/pca.h"
#include "pipeline/clock.h"
#include "pipeline/fetched.h"
#include "pipeline/grow.h"
#include "pipeline/job.h"
#include "pipeline/overwrite.h"
#include "pipeline/recipe.h"
#include "pipeline/replace.h"
#include "pipeline/shards.h"

void coulis_string_free(char *string) { cl_free(string); }

/* run.json of a finished job, which says that the vectors are not part of the result any more. */
static coulis_status drop_from_summary(cl_job *j) {
    char *text = cl_summary_without_features(j->output.summary);
    if (!text) return cl_fail_memory(j->error, "the summary", 0);
    cl_free(j->output.summary);
    j->output.summary = text;
    return cl_file_write(j->output.run, text, strlen(text), j->error);
}

/* Whether the vectors are not to stay: where a PCA has been made of them. */
static bool drops(const cl_job *j, bool reduce) {
    return reduce && j->options->drop_features && cl_parts_find(&j->output.parts, CL_KIND_PCA, 0);
}

/* The stages of a job, into j->output; `reduce` says whether the vectors are reduced too. */
static coulis_status run_stages(cl_job *j, const char *output, const char *recipe, bool reduce) {
    coulis_status status = cl_job_make_features(j);
    j->unchanged = !status && cl_grow_is_same(j);
    if (j->unchanged) return COULIS_OK;
    /* One vector alone has no principal components: its job is to have been made. */
    if (reduce && (j->options->pca || !(!status && cl_table_vectors(j->table) == 1))) {
        if (!status) status = cl_pool_create(j->options->threads, &j->pool, j->error);
        if (!status) status = cl_job_make_pca(j);
        if (!status) {
            char sha256[CL_SHA256_TEXT]; /* the list of parts moves as it grows */
            memcpy(sha256, cl_parts_find(&j->output.parts, CL_KIND_PCA, 0)->facts.sha256, sizeof sha256);
            status = cl_job_make_reduced(j, recipe, sha256, j->options->pca != NULL);
        }
    }
    return status ? status : cl_job_finish(j, output, recipe);
}

/* The result that is there is what the job would make. */
static coulis_status take_earlier(cl_job *j, bool reduce) {
    coulis_status status = cl_next_remove(j->output.folder, j->error);
    if (!status && drops(j, reduce)) status = cl_overwrite_find(&j->output, CL_KIND_FEATURES, j->error);
    if (!status && drops(j, reduce)) status = drop_from_summary(j);
    return status ? status : cl_job_take_finished(j);
}

/* What there is to do in the folder of output. */
static coulis_status work_in(cl_job *j, const char *output, const cl_output_wish *wish, bool reduce) {
    coulis_status status = cl_job_open_output(j, wish);
    const bool earlier = !status && (j->output.complete || j->output.grows);
    bool work = true;
    if (earlier) status = cl_grow_look(j, &work);
    if (!status && work && earlier) {
        status = cl_grow_result(j, output, wish->recipe, reduce, run_stages);
        if (status || !j->unchanged) return status;
        work = false;
    }
    if (!status) status = work ? run_stages(j, output, wish->recipe, reduce) : take_earlier(j, reduce);
    /* Only after run.json says complete: the vectors are not needed again. */
    if (!status && drops(j, reduce)) {
        status = cl_output_remove_parts(&j->output, CL_KIND_FEATURES, j->error);
        if (status && j->json) { /* nobody releases the result of a call that failed */
            coulis_string_free(*j->json);
            *j->json = NULL;
        }
    }
    return status;
}

/* Sets up a job of the caller's options and places for results; release is due also when it fails. */
static coulis_status begin_job(cl_job *j, const coulis_job_options *options, coulis_job_result *result, char **json,
                               coulis_error *error) {
    *j = (cl_job){.options = &j->own.job, .result = result, .json = json, .output = {.lock = -1}, .error = error};
    return cl_job_options_read(options, &j->own, error);
}

static coulis_status end_job(cl_job *j, coulis_status status) {
    cl_job_release(j);
    if (!status) cl_clear(j->error);
    return status;
}

/* Loads the PCA that takes the place of a fit; it must be of vectors like these. */
static coulis_status load_given(cl_job *j, char sha256[CL_SHA256_TEXT]) {
    const char *pca = j->options->pca;
    int64_t bytes;
    coulis_status status = coulis_pca_load(pca, &j->pca, j->error);
    if (!status && !j->options->allow_other_recipe)
        status = coulis_pca_check_recipe(j->pca, j->features_recipe, pca, j->error);
    return status ? status : cl_file_sha256(pca, &bytes, sha256, j->error);
}

static coulis_status over_images(cl_job *j, const char *const *paths, int64_t path_count, const char *output,
                                 bool reduce) {
    char sha256[CL_SHA256_TEXT];
    coulis_status status = cl_job_place(j, output);
    if (!status) status = cl_job_begin(j, paths, path_count, output);
    const bool keeps = reduce && j->options->keep_pca && !j->options->pca;
    if (!status && keeps && j->mirror) status = cl_mirror_settle(j->mirror, NULL, j->error);
    if (!status && keeps) status = cl_grow_keep_pca(j, j->place);
    const bool given = reduce && j->options->pca;
    if (!status && given) status = load_given(j, sha256);
    if (!status && reduce) {
        const double components = given ? (double)coulis_pca_components_count(j->pca) : j->options->components;
        j->recipe = keeps ? cl_recipe_kept(j->features_recipe, j->options->components, sha256)
                          : cl_recipe_reduced(j->features_recipe, components, given ? sha256 : NULL, NULL);
        if (!j->recipe) status = cl_fail_memory(j->error, "the recipe", 0);
    }
    if (status) return status;
    const bool shard = j->options->shards > 0;
    char *recipe = cl_shard_recipe(j->options, reduce ? j->recipe : j->features_recipe);
    if (!recipe) return cl_fail_memory(j->error, "the recipe", 0);
    const cl_output_wish wish = {.recipe = recipe,
                                 .grow = !shard,
                                 .reopen = shard,
                                 .root = j->inputs ? j->inputs->root : NULL,
                                 .overwrite = j->options->overwrite != 0};
    if (j->options->dry_run && j->mirror) status = cl_mirror_settle(j->mirror, &wish, j->error);
    if (!status)
        status = j->options->dry_run ? cl_grow_dry_run(j, j->place, &wish)
                                     : work_in(j, output, &wish, reduce && !shard);
    cl_free(recipe);
    return status;
}

coulis_status coulis_job_run(const char *const *paths, int64_t path_count, const char *output,
                             const coulis_job_options *options, coulis_job_result *result, char **json,
                             coulis_error *error) {
    cl_job j;
    coulis_status status = begin_job(&j, options, result, json, error);
    return end_job(&j, status ? status : over_images(&j, paths, path_count, output, true));
}

coulis_status coulis_job_featurize(const char *const *paths, int64_t path_count, const char *output,
                                   const coulis_job_options *options, coulis_job_result *result, char **json,
                                   coulis_error *error) {
    cl_job j;
    coulis_status status = begin_job(&j, options, result, json, error);
    return end_job(&j, status ? status : over_images(&j, paths, path_count, output, false));
}

/* Opens the vectors in `input`: a folder that run or featurize wrote, or a folder of parts itself. */
static coulis_status open_vectors(cl_job *j, const char *input) {
    char *below = cl_format("%s/features", input);
    if (!below) return cl_fail_memory(j->error, "a path", strlen(input));
    coulis_status status = cl_table_open(cl_path_exists(below) ? below : input, "features", &j->table, j->error);
    cl_free(below);
    if (!status) status = cl_count_statuses(j->table, &j->summary.result, j->error);
    if (!status) status = cl_pool_create(j->options->threads, &j->pool, j->error);
    if (status) return status;
    j->summary.result.length = cl_table_length(j->table);
    j->summary.threads = cl_pool_threads(j->pool);
    status = cl_check_recipes(j->table, j->error);
    if (status) return status;
    if (cl_table_vectors(j->table) == 0)
        return cl_fail(j->error, COULIS_INVALID_ARGUMENT, "%s: none of its %lld rows has a vector", input,
                       (long long)cl_table_rows(j->table));
    return COULIS_OK;
}

static coulis_status fit(cl_job *j, const char *input, const char *output) {
    cl_stand_in to = {0}, from = {0};
    if (!input) return cl_fail(j->error, COULIS_INVALID_ARGUMENT, "no input given");
    coulis_status status = cl_stand_in_new(&to, output, j->options->overwrite != 0, j->error);
    if (!status && !to.own && !j->options->overwrite) status = cl_refuse_existing(output, j->error);
    if (!status) status = cl_fetch_result(input, &from, j->error);
    if (!status) status = open_vectors(j, from.path);
    const double began = cl_seconds();
    if (!status) status = cl_fit_table(j->table, j->options, j->pool, &j->pca, j->error);
    if (!status) status = cl_job_give_recipe(j, cl_table_recipe(j->table));
    if (!status) status = coulis_pca_save(j->pca, to.path, j->error);
    status = cl_stand_in_put(&to, cl_stand_in_end(&from, status, j->error), j->error);
    cl_job_took(j, COULIS_STAGE_FIT, began);
    if (status) return status;
    j->recipe = cl_recipe_reduced(cl_table_recipe(j->table), j->options->components, NULL, NULL);
    return j->recipe ? cl_job_finish(j, output, j->recipe) : cl_fail_memory(j->error, "the recipe", 0);
}

coulis_status coulis_job_fit(const char *input, const char *output, const coulis_job_options *options,
                             coulis_job_result *result, char **json, coulis_error *error) {
    cl_job j;
    coulis_status status = begin_job(&j, options, result, json, error);
    return end_job(&j, status ? status : fit(&j, input, output));
}

/* The recipe of scores holds the digests of both files they are made of. */
static coulis_status transform_recipe(cl_job *j, const char *pca, char pca_sha256[CL_SHA256_TEXT]) {
    char table[CL_SHA256_TEXT];
    int64_t bytes;
    coulis_status status = cl_file_sha256(pca, &bytes, pca_sha256, j->error);
    if (!status) status = cl_table_sha256(j->table, table, j->error);
    if (status) return status;
    j->recipe = cl_recipe_reduced(cl_table_recipe(j->table), (double)coulis_pca_components_count(j->pca), pca_sha256,
                                  table);
    return j->recipe ? COULIS_OK : cl_fail_memory(j->error, "the recipe", 0);
}

/* The same of files that are here; `pca_name` is what the caller called the PCA. */
static coulis_status transform_here(cl_job *j, const char *input, const char *pca, const char *pca_name,
                                    const char *output) {
    coulis_status status = coulis_pca_load(pca, &j->pca, j->error);
    if (!status) status = open_vectors(j, input);
    if (!status && !j->options->allow_other_recipe)
        status = coulis_pca_check_recipe(j->pca, cl_table_recipe(j->table), pca_name, j->error);
    char sha256[CL_SHA256_TEXT];
    if (!status) status = transform_recipe(j, pca, sha256);
    const cl_output_wish wish = {.recipe = j->recipe, .overwrite = j->options->overwrite != 0};
    if (!status) status = cl_job_open_output(j, &wish);
    if (status) return status;
    if (j->output.complete) return cl_job_take_finished(j);
    status = cl_job_make_reduced(j, j->recipe, sha256, true);
    return status ? status : cl_job_finish(j, output, j->recipe);
}

static coulis_status transform(cl_job *j, const char *input, const char *pca, const char *output) {
    cl_stand_in vectors = {0}, components = {0};
    if (!input || !pca) return cl_fail(j->error, COULIS_INVALID_ARGUMENT, "no input or no PCA given");
    coulis_status status = cl_job_place(j, output);
    if (!status) status = cl_fetch_pca(pca, &components, j->error);
    if (!status) status = cl_fetch_result(input, &vectors, j->error);
    if (!status) status = transform_here(j, vectors.path, components.path, pca, output);
    return cl_stand_in_end(&components, cl_stand_in_end(&vectors, status, j->error), j->error);
}

coulis_status coulis_job_transform(const char *input, const char *pca, const char *output,
                                   const coulis_job_options *options, coulis_job_result *result, char **json,
                                   coulis_error *error) {
    cl_job j;
    coulis_status status = begin_job(&j, options, result, json, error);
    return end_job(&j, status ? status : transform(&j, input, pca, output));
}
