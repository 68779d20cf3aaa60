/* coulis merge: the shards of a job become the result of one machine. */
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "base/files.h"
#include "pipeline/fetched.h"
#include "pipeline/job.h"
#include "pipeline/recipe.h"
#include "pipeline/review.h"

#define RUN_JSON_MAX ((int64_t)256 << 20)
#define COPY_BYTES ((size_t)1 << 20)
#define SHARDS_MAX 100000

/* One of the folders given. */
typedef struct shard {
    cl_stand_in in; /* for its folder */
    cJSON *run;     /* its run.json */
    char *features; /* path */
    cl_parts parts;
    int32_t number;
} shard;

typedef struct merging {
    cl_job *job;
    shard *shards;
    int64_t count;
    cJSON *recipe;        /* of the job, without the shard */
    char *text, *vectors; /* printed; and as the parts of vectors have it */
} merging;

static const cJSON *get(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static double number_in(const cJSON *object, const char *name) {
    const cJSON *item = get(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* Reads the run.json of a folder into `s`, and the number of shards that it names into *of. */
static coulis_status read_shard(const char *folder, shard *s, int32_t *of, coulis_error *error) {
    uint8_t *text;
    size_t size;
    char *path = cl_format("%s/run.json", folder);
    s->features = cl_format("%s/features", folder);
    if (!path || !s->features) {
        cl_free(path);
        return cl_fail_memory(error, "a path", strlen(folder));
    }
    coulis_status status = cl_file_read(path, RUN_JSON_MAX, &text, &size, error);
    cl_free(path);
    if (status) return status;
    s->run = cJSON_Parse((const char *)text);
    cl_free(text);
    const char *name = cJSON_GetStringValue(get(get(s->run, "recipe"), "shard"));
    if (!name)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: is not a shard; coulis run --shard I/N makes one", folder);
    char *end;
    const long number = strtol(name, &end, 10), all = *end == '/' ? strtol(end + 1, &end, 10) : 0;
    const bool complete = cJSON_IsTrue(get(s->run, "complete"));
    if (*end || number < 1 || number > all || all > SHARDS_MAX || (complete && !cl_summary_is_sound(s->run)))
        return cl_fail(error, COULIS_BAD_DATA, "%s/run.json: was changed after it was written", folder);
    if (!complete)
        return cl_fail(error, COULIS_BAD_DATA, "%s: shard %s is not complete; rerun its command to resume it", folder,
                       name);
    s->number = (int32_t)number;
    *of = (int32_t)all;
    status = cl_parts_open(folder, &s->parts, error);
    return status ? status : cl_parts_add_summary(&s->parts, s->run, error);
}

/* Whether a shard is of the same job as the first one. */
static bool same_job(const merging *m, const shard *s) {
    cJSON *recipe = cJSON_Duplicate(get(s->run, "recipe"), 1);
    cJSON_DeleteItemFromObjectCaseSensitive(recipe, "shard");
    const char *root = cJSON_GetStringValue(get(m->shards->run, "root"));
    const char *other = cJSON_GetStringValue(get(s->run, "root"));
    const bool same = recipe && cJSON_Compare(m->recipe, recipe, 1) &&
                      (root && other ? strcmp(root, other) == 0 : root == other);
    cJSON_Delete(recipe);
    return same;
}

/* Reads all shards: each of the N must be there, once, and of the same job. */
static coulis_status read_shards(merging *m, const char *const *folders) {
    coulis_error *error = m->job->error;
    int32_t all = 0;
    coulis_status status = COULIS_OK;
    for (int64_t i = 0; !status && i < m->count; i++) {
        shard *s = &m->shards[i];
        int32_t of = 0;
        status = cl_fetch_result(folders[i], &s->in, error);
        if (!status) status = read_shard(s->in.path, s, &of, error);
        if (status) break;
        if (i == 0) {
            all = of;
            m->recipe = cJSON_Duplicate(get(s->run, "recipe"), 1);
            if (!m->recipe) return cl_fail_memory(error, "the recipe", 0);
            cJSON_DeleteItemFromObjectCaseSensitive(m->recipe, "shard");
        }
        if (of != all || !same_job(m, s))
            status = cl_fail(error, COULIS_CONFLICT, "%s: is a shard of another job than %s", folders[i], folders[0]);
        for (int64_t k = 0; !status && k < i; k++)
            if (m->shards[k].number == s->number)
                status = cl_fail(error, COULIS_INVALID_ARGUMENT, "%s and %s are the same shard, %d/%d", folders[k],
                                 folders[i], s->number, all);
    }
    if (status || m->count == all) return status;
    for (int32_t number = 1; number <= all; number++) {
        int64_t i = 0;
        while (i < m->count && m->shards[i].number != number) i++;
        if (i == m->count)
            return cl_fail(error, COULIS_MISSING, "shard %d/%d is missing: name the folders of all %d shards", number,
                           all, all);
    }
    return COULIS_OK;
}

/* Prints the recipes, and sets up what the stages read of a job. */
static coulis_status prepare(merging *m) {
    cl_job *j = m->job;
    char *text = cJSON_PrintUnformatted(m->recipe);
    m->text = text ? cl_strdup(text) : NULL;
    m->vectors = cl_recipe_of_table(m->recipe);
    cJSON_free(text);
    if (!m->text || !m->vectors) return cl_fail_memory(j->error, "the recipe", 0);
    j->features_recipe = cl_strdup(m->vectors);
    const cJSON *run = m->shards->run, *model = get(run, "model"), *counts = get(run, "counts");
    const char *texts[] = {cJSON_GetStringValue(get(model, "name")), cJSON_GetStringValue(get(model, "sha256")),
                           cJSON_GetStringValue(get(model, "source")), cJSON_GetStringValue(get(model, "licence"))};
    for (int i = 0; i < 4; i++)
        if (!texts[i]) texts[i] = "";
    j->model_info = (coulis_model_info){.name = texts[0], .sha256 = texts[1], .source = texts[2], .licence = texts[3]};
    j->summary.model = &j->model_info;
    coulis_job_result *r = &j->summary.result;
    r->length = (int64_t)number_in(m->recipe, "length");
    /* Each shard has looked through all of the input. */
    r->left_out_system = (int64_t)number_in(counts, "left_out_system");
    r->left_out_hidden = (int64_t)number_in(counts, "left_out_hidden");
    r->left_out_excluded = (int64_t)number_in(counts, "left_out_excluded");
    r->folders_unreadable = (int64_t)number_in(counts, "folders_unreadable");
    j->own.job.components = number_in(m->recipe, "components");
    j->summary.threads = j->options->threads > 0 ? j->options->threads : coulis_core_count();
    return j->features_recipe ? COULIS_OK : cl_fail_memory(j->error, "the recipe", 0);
}

/* Copies a file, which must be the one of the record, and writes it down before it has its name. */
static coulis_status copy_part(merging *m, const char *from, const char *to, const cl_part_record *record) {
    coulis_error *error = m->job->error;
    FILE *stream;
    uint64_t size;
    coulis_status status = cl_file_open(from, &stream, &size, error);
    if (status) return status;
    uint8_t *buffer = cl_alloc(COPY_BYTES, 1);
    cl_new_file file;
    status = buffer ? cl_new_file_begin(&file, to, error) : cl_fail_memory(error, "a buffer", COPY_BYTES);
    if (!status) {
        size_t got;
        while ((got = fread(buffer, 1, COPY_BYTES, stream)) > 0) cl_new_file_write(&file, buffer, got);
        const bool broken = ferror(stream) != 0;
        status = cl_new_file_flush(&file, error);
        if (!status && broken) status = cl_fail(error, COULIS_IO, "%s: cannot be read", from);
        if (!status && (file.bytes != record->facts.bytes || strcmp(file.sha256, record->facts.sha256) != 0))
            status = cl_fail(error, COULIS_BAD_DATA,
                             "%s: its content is not what was written (SHA-256 %.12s..., not %.12s...)", from,
                             file.sha256, record->facts.sha256);
        if (!status) status = cl_parts_promise(&m->job->output.parts, record, error);
        if (!status) status = cl_new_file_commit(&file, error);
        else cl_new_file_abort(&file);
        if (!status) status = cl_parts_tell(&m->job->output.parts, record, error);
    }
    cl_free(buffer);
    fclose(stream);
    return status;
}

/* Whether a part of a shard is written down as one of the result. */
static bool holds(const merging *m, const cl_part_record *record) {
    const cl_part_record *mine = cl_parts_find(&m->job->output.parts, record->kind, record->number);
    return mine && strcmp(mine->facts.sha256, record->facts.sha256) == 0;
}

static bool holds_all(const merging *m) {
    bool all = true;
    for (int64_t s = 0; s < m->count; s++)
        for (int64_t i = 0; i < m->shards[s].parts.count; i++)
            if (m->shards[s].parts.records[i].kind == CL_KIND_FEATURES)
                all = all && holds(m, &m->shards[s].parts.records[i]);
    return all;
}

/* Brings the parts of a shard that are not in the result yet. */
static coulis_status gather(merging *m, const shard *s) {
    cl_job *j = m->job;
    coulis_status status = COULIS_OK;
    for (int64_t i = 0; !status && i < s->parts.count; i++) {
        const cl_part_record *record = &s->parts.records[i];
        if (record->kind != CL_KIND_FEATURES) continue;
        const cl_expected expected = {.recipe = m->vectors, .rows = record->facts.rows};
        bool good;
        status = cl_review_part(&j->output.parts, CL_KIND_FEATURES, record->number, &expected, &good, NULL, j->error);
        if (status || (good && holds(m, record))) continue;
        /* A PCA of other vectors than these will be. */
        status = cl_output_forget_pca(&j->output, j->error);
        if (status) continue;
        char *from = cl_part_path(s->features, record->number), *to = cl_part_path(j->output.features, record->number);
        status = from && to ? copy_part(m, from, to, record) : cl_fail_memory(j->error, "a path", 0);
        cl_free(from);
        cl_free(to);
    }
    return status;
}

/* The result must not take the place of a shard, which --overwrite would remove. */
static coulis_status check_place(const merging *m, const char *const *folders, const char *output) {
    cl_about one, other;
    for (int64_t i = 0; i < m->count; i++)
        if (strcmp(output, folders[i]) == 0 ||
            (cl_look(output, &one) && cl_look(folders[i], &other) && cl_same_place(&one, &other)))
            return cl_fail(m->job->error, COULIS_INVALID_ARGUMENT,
                           "%s: is one of the shards; name another folder for the result", output);
    return COULIS_OK;
}

/* All parts in the folder of the result, and the rest of the job from there. */
static coulis_status merge(merging *m, const char *output) {
    cl_job *j = m->job;
    const char *root = cJSON_GetStringValue(get(m->shards->run, "root"));
    cl_output_wish wish = {.recipe = m->text, .root = root, .overwrite = j->options->overwrite != 0};
    coulis_status status = cl_job_open_output(j, &wish);
    if (!status && j->output.complete) {
        if (holds_all(m)) return cl_job_take_finished(j);
        cl_output_close(&j->output); /* a shard was made anew since */
        wish.reopen = true;
        status = cl_job_open_output(j, &wish);
    }
    if (status) return status;
    status = cl_make_folders(j->output.features, j->error);
    int64_t rows = 0;
    for (int64_t i = 0; !status && i < m->count; i++) {
        status = gather(m, &m->shards[i]);
        rows += (int64_t)number_in(get(m->shards[i].run, "counts"), "pictures");
    }
    if (!status) status = cl_job_open_features(j, rows);
    /* As in a job on one machine: one vector alone has no principal components. */
    if (!status && get(m->recipe, "components") && cl_table_vectors(j->table) != 1) {
        status = cl_pool_create(j->options->threads, &j->pool, j->error);
        if (!status) status = cl_job_make_pca(j);
        if (!status) {
            char sha256[CL_SHA256_TEXT]; /* the list of parts moves as it grows */
            memcpy(sha256, cl_parts_find(&j->output.parts, CL_KIND_PCA, 0)->facts.sha256, sizeof sha256);
            status = cl_job_make_reduced(j, m->text, sha256, false);
        }
    }
    return status ? status : cl_job_finish(j, output, m->text);
}

coulis_status coulis_job_merge(const char *const *folders, int64_t folder_count, const char *output,
                               const coulis_job_options *options, coulis_job_result *result, char **json,
                               coulis_error *error) {
    cl_job j = {.options = &j.own.job, .result = result, .json = json, .output = {.lock = -1}, .error = error};
    if (!folders || folder_count < 1 || folder_count > SHARDS_MAX)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "merging needs folders of shards");
    coulis_status status = cl_job_options_read(options, &j.own, error);
    if (status) return status;
    merging m = {.job = &j, .count = folder_count, .shards = cl_alloc_zero((size_t)folder_count, sizeof *m.shards)};
    if (!m.shards) return cl_fail_memory(error, "the list of shards", (size_t)folder_count * sizeof *m.shards);
    for (int64_t i = 0; i < folder_count; i++) m.shards[i].parts.descriptor = -1;
    status = cl_check_output(output, error);
    if (!status) status = read_shards(&m, folders);
    if (!status) status = check_place(&m, folders, output);
    if (!status) status = prepare(&m);
    if (!status) status = cl_job_place(&j, output);
    if (!status) status = merge(&m, output);
    cl_job_release(&j);
    for (int64_t i = 0; i < folder_count; i++) {
        status = cl_stand_in_end(&m.shards[i].in, status, error);
        cJSON_Delete(m.shards[i].run);
        cl_free(m.shards[i].features);
        cl_parts_close(&m.shards[i].parts);
    }
    cl_free(m.shards);
    cJSON_Delete(m.recipe);
    cl_free(m.text);
    cl_free(m.vectors);
    if (!status) cl_clear(error);
    return status;
}
