#include "pipeline/grow.h"

#include "base/files.h"
#include "pipeline/plan.h"
#include "pipeline/replace.h"
#include "pipeline/review.h"

/* The records of a result, finished or not. */
static coulis_status read_records(const char *folder, cl_parts *parts, coulis_error *error) {
    char *path = cl_format("%s/run.json", folder);
    uint8_t *text = NULL;
    size_t size;
    coulis_status status = cl_parts_open(folder, parts, error);
    if (!status && !path) status = cl_fail_memory(error, "a path", strlen(folder));
    if (!status) status = cl_file_read(path, (int64_t)256 << 20, &text, &size, error);
    cJSON *run = text ? cJSON_Parse((const char *)text) : NULL;
    if (!status) status = cl_parts_add_summary(parts, run, error);
    cJSON_Delete(run);
    cl_free(text);
    cl_free(path);
    return status;
}

coulis_status cl_grow_keep_pca(cl_job *j, const char *output) {
    cl_parts parts = {.descriptor = -1};
    bool good = false;
    coulis_status status = COULIS_OK;
    if (!j->options->dry_run) status = cl_output_settle(output, j->error);
    if (!status) status = read_records(output, &parts, j->error);
    if (!status) status = cl_review_pca(&parts, &good, j->error);
    cl_parts_close(&parts);
    if (status == COULIS_MISSING || (!status && !good))
        return cl_fail(j->error, COULIS_CONFLICT,
                       "%s: holds no sound PCA that could be kept; run the command without --keep-pca", output);
    if (status) return status;
    j->kept = cl_format("%s/pca.safetensors", output);
    if (!j->kept) return cl_fail_memory(j->error, "a path", strlen(output));
    j->own.job.pca = j->kept;
    return COULIS_OK;
}

/* Opens the rows of the earlier result: with vectors, where they were not dropped. */
static coulis_status open_earlier(cl_job *j, bool *dropped) {
    const cl_output *output = &j->output;
    *dropped = !output->unfinished && !cl_parts_find(&output->parts, CL_KIND_FEATURES, 0);
    return cl_earlier_open(&output->parts, *dropped ? CL_KIND_REDUCED : CL_KIND_FEATURES,
                           *dropped ? NULL : output->earlier, output->unfinished, &j->earlier, j->error);
}

static void tell(const cl_job *j, const coulis_plan *plan) {
    if (j->options->plan) j->options->plan(j->options->context, plan);
}

coulis_status cl_grow_look(cl_job *j, bool *work) {
    const cl_output *output = &j->output;
    bool dropped, whole = true;
    *work = output->grows;
    /* The identity of a list with archives changes when these do. */
    if (output->complete && (!j->inputs || !cl_inputs_tell_states(j->inputs))) return COULIS_OK;
    coulis_status status = open_earlier(j, &dropped);
    if (!status && output->grows && !output->unfinished) status = cl_review_finished(&output->parts, &whole, j->error);
    coulis_plan plan;
    if (!status && j->inputs) status = cl_plan_make(j->inputs, j->earlier, j->options, &plan, j->error);
    if (status) return status;
    if (j->inputs) {
        if (dropped) plan.failed = 0; /* no reason to refuse what is there */
        const bool refit = output->grows && !j->options->keep_pca;
        *work = cl_plan_has_work(&plan) || !output->same_images || refit || !whole || output->unfinished;
        if (*work) tell(j, &plan);
    }
    if (*work && dropped)
        return cl_fail(j->error, COULIS_CONFLICT,
                       "%s: other images than before, but its vectors were dropped (--drop-features), so none can be "
                       "carried over; name another folder, or start again with --overwrite",
                       output->folder);
    /* Not one image in common: most likely the wrong folder was named, and all its vectors would be lost. */
    if (*work && j->inputs && plan.gone > 0 && plan.added == plan.images)
        return cl_fail(j->error, COULIS_CONFLICT,
                       "%s: holds vectors of other images, and none of those given now is among them; name another "
                       "folder, or start again with --overwrite",
                       output->folder);
    return COULIS_OK;
}

coulis_status cl_grow_dry_run(cl_job *j, const char *output, const cl_output_wish *wish) {
    coulis_plan plan;
    bool dropped;
    if (!j->inputs)
        return cl_fail(j->error, COULIS_INVALID_ARGUMENT, "dry_run: the items of a source can be asked for once only");
    coulis_status status = COULIS_OK;
    if (!wish->overwrite) status = cl_output_look(output, wish, &j->output, j->error);
    if (!status && j->output.earlier) status = open_earlier(j, &dropped);
    if (!status) status = cl_plan_make(j->inputs, j->earlier, j->options, &plan, j->error);
    if (status) return status;
    tell(j, &plan);
    if (!j->json) return COULIS_OK;
    *j->json = cl_plan_json(&plan);
    return *j->json ? COULIS_OK : cl_fail_memory(j->error, "the plan", 0);
}

bool cl_grow_is_same(const cl_job *j) {
    const cl_parts *now = &j->output.parts, *before = j->replaced ? &j->replaced->parts : NULL;
    if (!before || !j->replaced->complete) return false;
    int64_t features[2] = {0, 0};
    for (int64_t i = 0; i < now->count; i++) {
        const cl_part_record *record = &now->records[i], *other = cl_parts_find(before, record->kind, record->number);
        if (record->kind != CL_KIND_FEATURES) continue;
        features[0]++;
        if (!other || strcmp(record->facts.sha256, other->facts.sha256) != 0) return false;
    }
    for (int64_t i = 0; i < before->count; i++) features[1] += before->records[i].kind == CL_KIND_FEATURES;
    return features[0] == features[1];
}

/* Opens DIR/.next: what an interrupted job of the same images left is gone on with, all else is made anew. */
static coulis_status open_next(cl_job *j, const char *next, const char *recipe) {
    cl_output_wish wish = {.recipe = recipe, .root = j->replaced->root, .reopen = true};
    coulis_status status = cl_output_open(next, &wish, &j->output, j->error);
    if (status != COULIS_CONFLICT) return status;
    status = cl_next_remove(j->replaced->folder, j->error);
    return status ? status : cl_output_open(next, &wish, &j->output, j->error);
}

coulis_status cl_grow_result(cl_job *j, const char *output, const char *recipe, bool reduce, cl_stages stages) {
    cl_output earlier = j->output; /* locked until the end */
    char *next = cl_next_folder(earlier.folder);
    if (!next) return cl_fail_memory(j->error, "a path", strlen(output));
    j->replaced = &earlier;
    j->output = (cl_output){.lock = -1, .parts = {.descriptor = -1}};
    coulis_status status = open_next(j, next, recipe);
    if (!status) status = stages(j, output, recipe, reduce);
    if (!status && j->unchanged) status = cl_next_remove(earlier.folder, j->error);
    cl_output_close(&j->output);
    j->output = earlier;
    j->replaced = NULL;
    cl_free(next);
    return status;
}
