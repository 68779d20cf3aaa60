#include "pipeline/featurize.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "base/text.h"
#include "pipeline/clock.h"
#include "pipeline/making.h"
#include "pipeline/output.h"
#include "pipeline/stream.h"
#include "table/part.h"

/* Rows of a chunk for each worker. What is finished of a chunk is lost when the job is stopped, and this is a second of
 * work. */
#define CHUNK_ROWS_PER_WORKER 16

/* A part still to be made. */
typedef struct part_plan {
    cl_making_plan making;
    int64_t kept;   /* rows of it that an earlier run kept */
    int64_t chunks; /* of the rows that are missing */
} part_plan;

/* What there is to do, in order. */
typedef struct schedule {
    cl_chunk *chunks;
    int64_t count, chunk_rows;
    part_plan *parts;
    int64_t part_count;
    int64_t rows_done; /* of parts that are there already, and kept ones */
} schedule;

static void free_schedule(schedule *plan) {
    cl_free(plan->chunks);
    cl_free(plan->parts);
}

/* Enters part `plan` of the rows from `first` on: what of it was kept, and chunks for the rest. */
static coulis_status schedule_part(schedule *s, const cl_making_plan *plan, int64_t first, coulis_error *error) {
    part_plan *part = &s->parts[s->part_count++];
    *part = (part_plan){.making = *plan};
    coulis_status status = cl_making_kept(plan, &part->kept, error);
    s->rows_done += part->kept;
    for (int64_t row = part->kept; !status && row < plan->rows; row += s->chunk_rows, part->chunks++)
        s->chunks[s->count++] = (cl_chunk){
            .first = first + row, .rows = row + s->chunk_rows < plan->rows ? s->chunk_rows : plan->rows - row};
    return status;
}

static coulis_status make_schedule(int64_t rows, int64_t rows_per_file, const cl_making_plan *common, int32_t workers,
                                   schedule *s, coulis_error *error) {
    const int64_t parts = (rows + rows_per_file - 1) / rows_per_file;
    *s = (schedule){.chunk_rows = (int64_t)workers * CHUNK_ROWS_PER_WORKER};
    /* All chunks of the stream together are no more than some three row groups. */
    const int64_t rows_max = (common->group_rows * 3 + 7) / 8;
    if (s->chunk_rows > rows_max) s->chunk_rows = rows_max;
    s->chunks = cl_alloc((size_t)rows, sizeof *s->chunks); /* no chunk is empty, so there are no more */
    s->parts = cl_alloc((size_t)parts, sizeof *s->parts);
    if (!s->chunks || !s->parts) return cl_fail_memory(error, "the schedule", (size_t)rows * sizeof *s->chunks);
    coulis_status status = COULIS_OK;
    for (int64_t part = 0; part < parts && !status; part++) {
        const int64_t first = part * rows_per_file, left = rows - first;
        char *path = cl_part_path(common->folder, part);
        if (!path) return cl_fail_memory(error, "a path", strlen(common->folder));
        bool there = cl_path_exists(path); /* a part has its name only when it is whole */
        cl_free(path);
        cl_making_plan plan = *common;
        plan.part = part;
        plan.rows = left < rows_per_file ? left : rows_per_file;
        if (there) {
            s->rows_done += plan.rows;
            status = cl_making_forget(plan.folder, part, error); /* had it no time for that before it was stopped */
        } else {
            status = schedule_part(s, &plan, first, error);
        }
    }
    return status;
}

/* The work of the calling thread: the parts are made one after another from what the stream gives. */
typedef struct sink {
    const cl_list *list;
    const coulis_job_options *options;
    cl_stream *stream;
    cl_making *making;
    cl_row *rows; /* of a chunk */
    char **texts; /* per row: path and label as UTF-8 */
    coulis_progress progress;
    double began;
    int64_t chunk;  /* the next one */
    bool stopping;
} sink;

/* The columns of one row; *path and *label are to be freed by the caller. */
static coulis_status make_row(const sink *s, int64_t i, const coulis_result *result, const cl_origin *origin,
                              const float *vector, cl_row *row, char **path, char **label, coulis_error *error) {
    const char *raw = cl_list_path(s->list, i);
    size_t length;
    const char *name = cl_label_of(raw, &length);
    char *folder = cl_format("%.*s", (int)length, name);
    *path = cl_utf8_copy(raw);
    *label = folder ? cl_utf8_copy(folder) : NULL;
    cl_free(folder);
    if (!*path || !*label) return cl_fail_memory(error, "a row", strlen(raw));
    bool ok = result->error.status == COULIS_OK;
    *row = (cl_row){.path = *path, .label = *label, .status = result->error.status,
                    .error = ok ? NULL : result->error.message, .width = result->width, .height = result->height,
                    .vector = ok ? vector : NULL, .file = origin->state,
                    .sha256 = origin->sha256[0] ? origin->sha256 : NULL};
    return COULIS_OK;
}

static coulis_status add_chunk(sink *s, const cl_chunk *chunk, int64_t length, coulis_result *results,
                               const cl_origin *origins, const float *vectors, coulis_error *error) {
    coulis_status status = COULIS_OK;
    int64_t made = 0;
    for (; status == COULIS_OK && made < chunk->rows; made++)
        status = make_row(s, chunk->first + made, &results[made], &origins[made], vectors + made * length,
                          &s->rows[made], &s->texts[2 * made], &s->texts[2 * made + 1], error);
    if (status == COULIS_OK) status = cl_making_add(s->making, s->rows, chunk->rows, error);
    for (int64_t i = 0; i < 2 * made; i++) cl_free(s->texts[i]);
    return status;
}

/* Waits for the next chunk and tells of progress; *ready is false when the job is to stop before it is finished. */
static coulis_status wait_for_chunk(sink *s, bool *ready, coulis_result **results, const cl_origin **origins,
                                    const float **vectors, coulis_error *error) {
    coulis_status status;
    do {
        coulis_progress *progress = &s->progress;
        status = cl_stream_wait(s->stream, s->chunk, ready, results, origins, vectors, &progress->done,
                                &progress->failed, error);
        progress->done += progress->resumed;
        progress->seconds = cl_seconds() - s->began;
        if (!status && !s->stopping && s->options->progress && s->options->progress(s->options->context, progress))
            s->stopping = true;
    } while (!status && !*ready && !s->stopping);
    return status;
}

static coulis_status make_part(sink *s, const part_plan *part, const cl_chunk *chunks, coulis_error *error) {
    coulis_status status = cl_making_open(&part->making, &s->making, error);
    for (int64_t i = 0; !status && i < part->chunks; i++, s->chunk++) {
        bool ready = false;
        coulis_result *results;
        const cl_origin *origins;
        const float *vectors;
        status = wait_for_chunk(s, &ready, &results, &origins, &vectors, error);
        if (!status && !ready) {
            status = cl_making_keep(s->making, error);
            return status ? status
                          : cl_fail(error, COULIS_INTERRUPTED,
                                    "interrupted after %lld of %lld images; rerun the same command to resume",
                                    (long long)s->progress.done, (long long)s->progress.total);
        }
        if (!status) status = add_chunk(s, &chunks[s->chunk], part->making.length, results, origins, vectors, error);
        if (!status) cl_stream_release(s->stream, s->chunk);
    }
    if (status) return status;
    status = cl_making_commit(s->making, error);
    s->making = NULL;
    return status;
}

/* Makes the parts of the schedule. */
static coulis_status make_parts(sink *s, const schedule *plan, int64_t group_rows, coulis_featurizer *featurizer,
                                int32_t workers, coulis_error *error) {
    coulis_status status = COULIS_OK;
    s->rows = cl_alloc((size_t)plan->chunk_rows, sizeof *s->rows);
    s->texts = cl_alloc_zero((size_t)plan->chunk_rows, 2 * sizeof *s->texts);
    if (!s->rows || !s->texts) status = cl_fail_memory(error, "rows", (size_t)group_rows * sizeof *s->rows);
    if (status == COULIS_OK && plan->count > 0)
        status = cl_stream_create(s->list, plan->chunks, plan->count, plan->chunk_rows, featurizer, workers,
                                  s->options->featurizer->image->max_bytes, &s->stream, error);
    s->began = cl_seconds();
    for (int64_t i = 0; status == COULIS_OK && i < plan->part_count; i++)
        status = make_part(s, &plan->parts[i], plan->chunks, error);
    cl_making_abort(s->making);
    cl_stream_free(s->stream);
    cl_free(s->rows);
    cl_free(s->texts);
    return status;
}

coulis_status cl_featurize(const cl_list *list, const coulis_model *model, const coulis_job_options *options,
                           const char *folder, const char *recipe, int64_t *resumed, coulis_error *error) {
    int32_t workers = options->threads > 0 ? options->threads : coulis_core_count();
    coulis_featurizer *featurizer = NULL;
    coulis_status status = cl_featurizer_create(model, options->featurizer, workers, &featurizer, error);
    if (status != COULIS_OK) return status;
    const int64_t length = coulis_featurizer_length(featurizer);
    int64_t group_rows = cl_row_group_rows(length);
    if (group_rows > options->rows_per_file) group_rows = options->rows_per_file;
    const cl_making_plan common = {.folder = folder, .column = "features", .recipe = recipe, .length = length,
                                   .group_rows = group_rows};
    schedule plan;
    status = make_schedule(cl_list_count(list), options->rows_per_file, &common, workers, &plan, error);
    *resumed = plan.rows_done;
    if (status == COULIS_OK) status = cl_make_folders(folder, error);
    if (status == COULIS_OK && plan.part_count > 0) {
        sink s = {.list = list, .options = options,
                  .progress = {.size = sizeof s.progress, .stage = COULIS_STAGE_FEATURIZE,
                               .total = cl_list_count(list), .resumed = plan.rows_done, .done = plan.rows_done}};
        status = make_parts(&s, &plan, group_rows, featurizer, workers, error);
    }
    free_schedule(&plan);
    coulis_featurizer_free(featurizer);
    return status;
}
