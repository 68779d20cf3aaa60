#include "base/sized.h"
#include "base/sync.h"
#include "pca/model.h"
#include "pca/pca.h"
#include "pipeline/clock.h"
#include "pipeline/featurize.h"
#include "pipeline/featurizer.h"
#include "pipeline/job.h"
#include "pipeline/recipe.h"
#include "pipeline/replace.h"
#include "pipeline/review.h"
#include "pipeline/shards.h"
#include "remote/stand_in.h"

void cl_job_release(cl_job *j) {
    cl_output_close(&j->output);
    cl_mirror_close(j->mirror, j->error);
    cl_earlier_close(j->earlier);
    cl_table_close(j->table);
    coulis_model_close(j->model);
    cl_inputs_close(j->inputs);
    cl_pool_free(j->pool);
    coulis_pca_free(j->pca);
    cl_spread_free(&j->spread);
    cl_free(j->recipe);
    cl_free(j->features_recipe);
    cl_free(j->kept);
}

void cl_job_took(cl_job *j, coulis_stage stage, double began) {
    j->summary.result.seconds[stage] = cl_seconds() - began;
    j->summary.stages |= 1 << stage;
}

/* Hands numbers and text to the caller; the text is theirs then, or released. */
static coulis_status hand_over(cl_job *j, const coulis_job_result *numbers, char *text) {
    coulis_status status = j->mirror && j->output.run ? cl_mirror_finish(j->mirror, j->error) : COULIS_OK;
    if (status) {
        cl_free(text);
        return status;
    }
    bool good = !j->result || cl_sized_write(j->result, numbers, sizeof *numbers);
    if (good && j->json) *j->json = text;
    else cl_free(text);
    return good ? COULIS_OK
                : cl_fail(j->error, COULIS_INVALID_ARGUMENT,
                          "coulis_job_result: not set up; call coulis_job_result_init first");
}

coulis_status cl_job_finish(cl_job *j, const char *output, const char *recipe) {
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
        if (!status && j->replaced) status = cl_replace(j->replaced->folder, j->error);
        if (status) {
            cl_free(text);
            return status;
        }
    }
    return hand_over(j, &j->summary.result, text);
}

coulis_status cl_job_take_finished(cl_job *j) {
    coulis_job_result numbers;
    coulis_status status = cl_summary_read(j->output.summary, j->output.run, &numbers, j->error);
    if (status) return status;
    j->summary.result = numbers;
    char *text = j->output.summary;
    j->output.summary = NULL;
    return hand_over(j, &numbers, text);
}

coulis_status cl_job_place(cl_job *j, const char *output) {
    coulis_status status = cl_check_output(output, j->error);
    j->place = output;
    if (status || !cl_remote_is_s3(output)) return status;
    status = cl_mirror_open(output, j->options, &j->mirror, j->error);
    if (!status) j->place = cl_mirror_folder(j->mirror);
    return status;
}

coulis_status cl_job_open_output(cl_job *j, const cl_output_wish *wish) {
    coulis_status status = j->mirror ? cl_mirror_settle(j->mirror, wish, j->error) : COULIS_OK;
    if (!status) status = cl_output_open(j->place, wish, &j->output, j->error);
    if (status || !j->mirror || j->output.complete || j->output.grows) return status;
    return cl_mirror_begin(j->mirror, &j->output, wish, j->error);
}

/* Opens what the paths stand for, or takes the caller's source. */
static coulis_status open_source(cl_job *j, const char *const *paths, int64_t path_count, const char *output) {
    if (!j->options->source) {
        coulis_status status = cl_inputs_open(paths, path_count, j->options->choose, output, &j->inputs, j->error);
        if (!status) j->source = j->inputs->table;
        return status;
    }
    coulis_status status = cl_given_open(j->options->source, &j->given, j->error);
    j->source = j->given.table;
    if (!status && path_count > 0)
        status = cl_fail(j->error, COULIS_INVALID_ARGUMENT, "coulis_source: paths were given too");
    return status;
}

/* The model is read and hashed while the images are listed. */
typedef struct opening {
    cl_job *job;
    coulis_status status;
    coulis_error error;
} opening;

static void *open_model(void *argument) {
    opening *o = argument;
    o->status = coulis_model_open(o->job->options->model, 0, &o->job->model, &o->error);
    return NULL;
}

coulis_status cl_job_begin(cl_job *j, const char *const *paths, int64_t path_count, const char *output) {
    const double began = cl_seconds();
    opening model = {.job = j};
    cl_beside beside;
    cl_beside_begin(&beside, open_model, &model);
    coulis_status status = open_source(j, paths, path_count, output);
    cl_job_took(j, COULIS_STAGE_LIST, began);
    cl_beside_end(&beside);
    if (!status && model.status) status = cl_fail(j->error, model.status, "%s", model.error.message);
    if (status) return status;
    status = cl_settle_resize(j->model, &j->own.featurizer.image, j->error);
    if (status) return status;
    coulis_model_info_init(&j->model_info, sizeof j->model_info);
    status = coulis_model_describe(j->model, &j->model_info, j->error);
    if (status) return status;
    j->summary.model = &j->model_info;
    const int64_t length = coulis_model_features_length(j->model, j->options->featurizer->features);
    j->summary.result.length = length;
    j->summary.threads = j->options->threads > 0 ? j->options->threads : coulis_core_count();
    j->features_recipe = cl_recipe_features(j->options, &j->model_info, length, &j->source);
    return j->features_recipe ? COULIS_OK : cl_fail_memory(j->error, "the recipe", 0);
}

coulis_status cl_job_give_recipe(cl_job *j, const char *table) {
    char *recipe = table ? cl_recipe_of_vectors(table) : NULL;
    if (table && table[0] == '{' && !recipe) return cl_fail_memory(j->error, "the recipe", strlen(table));
    coulis_status status = recipe ? coulis_pca_set_recipe(j->pca, recipe, j->error) : COULIS_OK;
    cl_free(recipe);
    return status;
}

/* Nothing is known of a file that cannot be looked at, so that it is read again. */
coulis_status cl_job_open_features(cl_job *j, int64_t rows) {
    coulis_status status = cl_table_open(j->output.features, "features", &j->table, j->error);
    if (!status) status = cl_count_statuses(j->table, &j->summary.result, j->error);
    if (!status && cl_table_rows(j->table) != rows)
        status = cl_fail(j->error, COULIS_BAD_DATA, "%s: has %lld rows instead of %lld; start over with --overwrite",
                         j->output.features, (long long)cl_table_rows(j->table), (long long)rows);
    return status;
}

static cl_file_state state_of_image(const void *context, int64_t row) {
    cl_file_state state;
    return cl_inputs_state(context, row, &state, NULL) == COULIS_OK ? state : (cl_file_state){0};
}

coulis_status cl_job_make_features(cl_job *j) {
    const double began = cl_seconds();
    int64_t missing, rows = 0;
    const bool tells = j->inputs && cl_inputs_tell_states(j->inputs);
    const cl_images images = {.count = j->source.count,
                              .rows_per_file = j->options->rows_per_file,
                              .state = tells ? state_of_image : NULL,
                              .context = j->inputs};
    coulis_status status = cl_review_features(&j->output.parts, &images, j->features_recipe, &missing, j->error);
    /* A PCA of other vectors than these will be. */
    if (!status && missing > 0 && j->recipe) status = cl_output_forget_pca(&j->output, j->error);
    if (!status)
        status = cl_featurize(&j->source, j->model, j->options, &images, j->earlier, j->output.features,
                              j->features_recipe, &j->output.parts, &rows, &j->summary.result.resumed, j->error);
    cl_job_took(j, COULIS_STAGE_FEATURIZE, began);
    if (j->inputs) cl_inputs_count(j->inputs, &j->summary.result);
    if (!status && rows == 0 && j->options->shards == 0)
        status = cl_fail(j->error, COULIS_MISSING, "there are no images in what was given");
    if (!status && j->options->shards > 0) return cl_shard_count(j, rows);
    return status ? status : cl_job_open_features(j, rows);
}

/* Saves the PCA with the recipe of its vectors, and writes it down before it has its name. The name is flushed when the
 * job ends. */
static coulis_status save_pca(cl_job *j) {
    cl_part_record record = {.kind = CL_KIND_PCA, .facts.rows = coulis_pca_components_count(j->pca)};
    coulis_status status = j->options->pca ? COULIS_OK : cl_job_give_recipe(j, j->features_recipe);
    cl_new_file file;
    if (!status) status = cl_pca_stage(j->pca, j->output.pca, &file, j->error);
    if (!status) status = cl_new_file_flush(&file, j->error);
    if (status) return status;
    file.flushing = CL_FLUSH_CONTENT;
    record.facts.bytes = file.bytes;
    memcpy(record.facts.sha256, file.sha256, sizeof record.facts.sha256);
    status = cl_parts_note(&j->output.parts, &record, j->error);
    if (!status) {
        status = cl_new_file_commit(&file, j->error);
        return status ? status : cl_parts_tell(&j->output.parts, &record, j->error);
    }
    cl_new_file_abort(&file);
    return status;
}

coulis_status cl_job_make_pca(cl_job *j) {
    const double began = cl_seconds();
    bool there;
    coulis_status status = cl_review_pca(&j->output.parts, &there, j->error);
    /* Scores of a PCA that is not there any more must not stand beside those of another. */
    if (!status && !there) status = cl_output_forget_pca(&j->output, j->error);
    if (status) return status;
    if (j->options->pca) {
        if (!there) status = save_pca(j);
    } else if (there) {
        status = coulis_pca_load(j->output.pca, &j->pca, j->error);
    } else if (cl_table_vectors(j->table) == 0) {
        status = cl_fail(j->error, COULIS_INVALID_ARGUMENT,
                         "none of the %lld images could be read, so there is nothing to fit a PCA to; see the column "
                         "'error' in %s",
                         (long long)cl_table_rows(j->table), j->output.features);
    } else {
        status = cl_fit_table(j->table, j->options, j->pool, &j->pca, j->error);
        if (!status) status = save_pca(j);
    }
    cl_job_took(j, COULIS_STAGE_FIT, began);
    return status;
}

coulis_status cl_job_make_reduced(cl_job *j, const char *recipe, const char *pca_sha256, bool measured) {
    const double began = cl_seconds();
    const cl_scores_to to = {.folder = j->output.reduced,
                             .recipe = recipe,
                             .pca_sha256 = pca_sha256,
                             .parts = &j->output.parts,
                             .spread = measured ? &j->spread : NULL};
    coulis_status status = cl_review_reduced(&j->output.parts, cl_table_parts(j->table), recipe, pca_sha256, j->error);
    if (!status && measured) status = cl_spread_begin(&j->spread, j->pca, j->error);
    if (!status) status = cl_transform_table(j->table, j->pca, j->options, j->pool, &to, j->error);
    if (!status && measured) {
        j->share = cl_spread_share(&j->spread);
        j->summary.share = &j->share;
    }
    cl_job_took(j, COULIS_STAGE_TRANSFORM, began);
    return status;
}
