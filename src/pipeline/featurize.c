#include "pipeline/featurize.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "base/text.h"
#include "pipeline/clock.h"
#include "pipeline/output.h"
#include "pipeline/stream.h"
#include "table/part.h"

/* The chunks (row groups) still to be made, in order. */
typedef struct schedule {
    cl_chunk *chunks;
    int64_t count;
    int64_t rows_done; /* in parts that are there already */
} schedule;

static coulis_status make_schedule(int64_t rows, int64_t rows_per_file, int64_t group_rows, const char *folder,
                                   schedule *plan, coulis_error *error) {
    int64_t parts = (rows + rows_per_file - 1) / rows_per_file;
    *plan = (schedule){0};
    plan->chunks = cl_alloc((size_t)rows, sizeof *plan->chunks); /* no chunk is empty, so there are no more */
    if (!plan->chunks) return cl_fail_memory(error, "the schedule", (size_t)rows * sizeof *plan->chunks);
    for (int64_t part = 0; part < parts; part++) {
        int64_t first = part * rows_per_file, last = first + rows_per_file < rows ? first + rows_per_file : rows;
        char *path = cl_part_path(folder, part);
        if (!path) return cl_fail_memory(error, "a path", strlen(folder));
        bool there = cl_path_exists(path);
        cl_free(path);
        if (there) { /* a part has its name only when it is whole */
            plan->rows_done += last - first;
            continue;
        }
        for (int64_t row = first; row < last; row += group_rows)
            plan->chunks[plan->count++] = (cl_chunk){
                .part = part, .first = row, .rows = row + group_rows < last ? group_rows : last - row};
    }
    return COULIS_OK;
}

/* The part being written, and room for the rows of one chunk. */
typedef struct sink {
    const cl_list *list;
    const char *folder, *recipe;
    int64_t length;
    cl_part_writer *writer;
    cl_row *rows;
    char **texts; /* per row: path and label as UTF-8 */
} sink;

/* The columns of one row; *path and *label are to be freed by the caller. */
static coulis_status make_row(const sink *s, int64_t i, const coulis_result *result, const float *vector, cl_row *row,
                              char **path, char **label, coulis_error *error) {
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
                    .vector = ok ? vector : NULL};
    return COULIS_OK;
}

static coulis_status write_chunk(sink *s, const cl_chunk *chunk, coulis_result *results, const float *vectors,
                                 coulis_error *error) {
    coulis_status status = COULIS_OK;
    if (!s->writer) {
        char *path = cl_part_path(s->folder, chunk->part);
        if (!path) return cl_fail_memory(error, "a path", strlen(s->folder));
        status = cl_part_writer_open(path, "features", s->length, s->recipe, &s->writer, error);
        cl_free(path);
    }
    int64_t made = 0;
    for (; status == COULIS_OK && made < chunk->rows; made++)
        status = make_row(s, chunk->first + made, &results[made], vectors + made * s->length, &s->rows[made],
                          &s->texts[2 * made], &s->texts[2 * made + 1], error);
    if (status == COULIS_OK) status = cl_part_writer_write(s->writer, s->rows, chunk->rows, error);
    for (int64_t i = 0; i < 2 * made; i++) cl_free(s->texts[i]);
    return status;
}

/* Writes the chunks as they are finished, part by part, and tells of progress. */
static coulis_status write_all(sink *s, cl_stream *stream, const schedule *plan, coulis_progress *progress,
                               const coulis_job_options *options, coulis_error *error) {
    const double began = cl_seconds();
    coulis_status status = COULIS_OK;
    bool stopping = false;
    for (int64_t c = 0; c < plan->count; c++) {
        const cl_chunk *chunk = &plan->chunks[c];
        coulis_result *results;
        const float *vectors;
        for (bool ready = false; status == COULIS_OK && !ready;) {
            status = cl_stream_wait(stream, c, &ready, &results, &vectors, &progress->done, &progress->failed, error);
            progress->done += progress->resumed;
            progress->seconds = cl_seconds() - began;
            if (!stopping && status == COULIS_OK && options->progress &&
                options->progress(options->context, progress)) {
                stopping = true;
                cl_stream_stop_after_part(stream, chunk->part);
            }
        }
        if (status == COULIS_OK) status = write_chunk(s, chunk, results, vectors, error);
        if (status != COULIS_OK) return status;
        cl_stream_release(stream, c);
        if (c + 1 == plan->count || plan->chunks[c + 1].part != chunk->part) {
            status = cl_part_writer_commit(s->writer, error);
            s->writer = NULL;
            if (status != COULIS_OK) return status;
            if (stopping && c + 1 < plan->count)
                return cl_fail(error, COULIS_INTERRUPTED,
                               "stopped after part %lld; the same command goes on from there",
                               (long long)chunk->part);
        }
    }
    return COULIS_OK;
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
    schedule plan;
    cl_stream *stream = NULL;
    sink s = {.list = list, .folder = folder, .recipe = recipe, .length = length};
    status = make_schedule(cl_list_count(list), options->rows_per_file, group_rows, folder, &plan, error);
    *resumed = plan.rows_done;
    if (status == COULIS_OK) status = cl_make_folders(folder, error);
    if (status == COULIS_OK && plan.count > 0) {
        s.rows = cl_alloc((size_t)group_rows, sizeof *s.rows);
        s.texts = cl_alloc_zero((size_t)group_rows, 2 * sizeof *s.texts);
        if (!s.rows || !s.texts) status = cl_fail_memory(error, "rows", (size_t)group_rows * sizeof *s.rows);
        if (status == COULIS_OK)
            status = cl_stream_create(list, plan.chunks, plan.count, group_rows, featurizer, workers,
                                      options->featurizer->image->max_bytes, &stream, error);
    }
    coulis_progress progress = {.size = sizeof progress, .stage = COULIS_STAGE_FEATURIZE, .total = cl_list_count(list),
                                .resumed = plan.rows_done, .done = plan.rows_done};
    if (status == COULIS_OK && stream) status = write_all(&s, stream, &plan, &progress, options, error);
    cl_stream_free(stream);
    cl_part_writer_abort(s.writer);
    cl_free(s.rows);
    cl_free(s.texts);
    cl_free(plan.chunks);
    coulis_featurizer_free(featurizer);
    return status;
}
