#include "pipeline/featurize.h"

#include "base/files.h"
#include "pipeline/clock.h"
#include "pipeline/making.h"
#include "pipeline/output.h"
#include "pipeline/shards.h"
#include "pipeline/stream.h"
#include "source/list.h"
#include "source/path_text.h"

/* Rows of a chunk for each worker: about a second of work, so that the threads seldom wait for the slowest. */
#define CHUNK_ROWS_PER_WORKER 16

/* The work of the calling thread: the parts are made one after another from what the stream gives. */
typedef struct sink {
    const coulis_job_options *options;
    cl_making_plan making_plan;   /* of every part, but for its number and rows; read by readers, too */
    int64_t rows_per_part, total; /* total: -1 when not known */
    cl_stream *stream;
    cl_making *making; /* of `part`; NULL: none is begun */
    int64_t part;
    cl_row *rows; /* of a chunk */
    char **texts; /* of these rows, as UTF-8 */
    cl_stream_counts counts;
    coulis_progress progress;
    double began;
    bool stopping;
} sink;

/* What part `number` is to be. Where the number of items is not known, the last part has fewer rows than this says. */
static cl_making_plan plan_of(const sink *s, int64_t number) {
    cl_making_plan plan = s->making_plan;
    const int64_t left = s->total - number * s->rows_per_part;
    plan.part = number;
    plan.rows = s->total >= 0 && left < s->rows_per_part ? left : s->rows_per_part;
    return plan;
}

/* For cl_stream_plan: a part has its name only when it is whole; before, its rows are in pieces. */
static coulis_status rows_there(void *context, int64_t part, int64_t *rows, bool *whole, coulis_error *error) {
    const sink *s = context;
    if (!cl_shard_has(s->options, part)) { /* another shard makes it */
        *whole = true;
        return COULIS_OK;
    }
    const cl_making_plan plan = plan_of(s, part);
    char *path = cl_part_path(plan.folder, part);
    if (!path) return cl_fail_memory(error, "a path", strlen(plan.folder));
    *whole = cl_path_exists(path);
    cl_free(path);
    /* Had the pieces not been removed before the job was stopped. */
    return *whole ? cl_making_forget(plan.folder, part, error) : cl_making_kept(&plan, rows, error);
}

/* Texts of a row that are made for it: path, label, error, and the further columns. */
static int64_t texts_per_row(const sink *s) { return 3 + s->making_plan.extra.count; }

/* The columns of one row. `texts` are to be freed by the caller, also after a failure. */
static coulis_status make_row(const sink *s, const cl_chunk *chunk, int64_t i, cl_row *row, char **texts,
                              coulis_error *error) {
    const coulis_item *item = &chunk->items[i];
    const coulis_result *result = &chunk->results[i];
    const int32_t extra = s->making_plan.extra.count;
    const cl_file_state file = {.has_bytes = item->bytes >= 0,
                                .bytes = item->bytes >= 0 ? item->bytes : 0,
                                .has_modified = item->modified != CL_NO_TIME,
                                .modified = item->modified != CL_NO_TIME ? item->modified : 0};
    bool good = (texts[0] = cl_path_text(item->name)) != NULL;
    good &= (texts[1] = cl_utf8_copy(item->label ? item->label : "")) != NULL;
    for (int32_t c = 0; c < extra; c++) {
        const char *value = item->values ? item->values[c] : NULL;
        texts[3 + c] = value ? cl_utf8_copy(value) : NULL;
        good &= !value || texts[3 + c];
    }
    const bool ok = result->error.status == COULIS_OK;
    /* It names the file, whose name may be any bytes. */
    texts[2] = ok ? NULL : cl_utf8_copy(result->error.message);
    good &= ok || texts[2];
    if (!good) return cl_fail_memory(error, "a row", strlen(item->name));
    *row = (cl_row){.path = texts[0],
                    .label = texts[1],
                    .status = result->error.status,
                    .error = texts[2],
                    .width = result->width,
                    .height = result->height,
                    .vector = ok && chunk->carried[i] < 0 ? chunk->vectors + i * s->making_plan.length : NULL,
                    .file = file,
                    .sha256 = chunk->sha256[i][0] ? chunk->sha256[i] : NULL,
                    .extra = (const char *const *)texts + 3,
                    .extra_count = extra};
    return COULIS_OK;
}

static coulis_status add_chunk(sink *s, const cl_chunk *chunk, coulis_error *error) {
    const int64_t each = texts_per_row(s);
    coulis_status status = COULIS_OK;
    int64_t made = 0;
    for (; !status && made < chunk->rows; made++)
        status = make_row(s, chunk, made, &s->rows[made], s->texts + made * each, error);
    if (!status) status = cl_making_add(s->making, s->rows, chunk->carried, chunk->rows, error);
    for (int64_t i = 0; i < each * made; i++) cl_free(s->texts[i]);
    return status;
}

static coulis_status wait_stream(sink *s, cl_turn *turn, cl_chunk *chunk, coulis_error *error) {
    coulis_progress *progress = &s->progress;
    coulis_status status = cl_stream_wait(s->stream, turn, chunk, &s->counts, error);
    progress->resumed = s->counts.skipped;
    progress->done = s->counts.done + s->counts.skipped;
    progress->failed = s->counts.failed;
    progress->seconds = cl_seconds() - s->began;
    return status;
}

/* Waits for the next turn and reports progress. Returns with CL_TURN_WAITING only when the job is to stop. */
static coulis_status wait_turn(sink *s, cl_turn *turn, cl_chunk *chunk, coulis_error *error) {
    coulis_status status;
    do {
        status = wait_stream(s, turn, chunk, error);
        if (!status && !s->stopping && s->options->progress && s->options->progress(s->options->context, &s->progress))
            s->stopping = true;
    } while (!status && *turn == CL_TURN_WAITING && !s->stopping);
    return status;
}

/* Gives the part that was begun its name. */
static coulis_status end_part(sink *s, coulis_error *error) {
    if (!s->making) return COULIS_OK;
    cl_making *making = s->making;
    s->making = NULL;
    return cl_making_commit(making, error);
}

/* Adds a chunk to its part, which ends the one before. */
static coulis_status take_chunk(sink *s, const cl_chunk *chunk, coulis_error *error) {
    coulis_status status = COULIS_OK;
    if (!s->making || chunk->part != s->part) {
        status = end_part(s, error);
        const cl_making_plan plan = plan_of(s, chunk->part);
        s->part = chunk->part;
        if (!status) status = cl_making_open(&plan, &s->making, error);
    }
    if (!status) status = add_chunk(s, chunk, error);
    if (!status && chunk->rows > 0 && (chunk->first + chunk->rows) % s->rows_per_part == 0) status = end_part(s, error);
    return status;
}

/* Takes what the threads have finished, and what they have in hand. */
static coulis_status take_rest(sink *s, coulis_error *error) {
    coulis_status status = COULIS_OK;
    cl_turn turn = CL_TURN_WAITING;
    cl_stream_halt(s->stream);
    while (!status && turn != CL_TURN_END && turn != CL_TURN_CUT) {
        cl_chunk chunk;
        status = wait_stream(s, &turn, &chunk, error);
        if (!status && (turn == CL_TURN_CHUNK || turn == CL_TURN_CUT)) status = take_chunk(s, &chunk, error);
        if (!status && turn == CL_TURN_CHUNK) cl_stream_release(s->stream);
    }
    return status;
}

static coulis_status stop(sink *s, coulis_error *error) {
    coulis_status status = take_rest(s, error);
    if (!status && s->making) status = cl_making_keep(s->making, error);
    if (status) return status;
    const long long done = s->progress.done;
    if (s->total < 0)
        return cl_fail(error, COULIS_INTERRUPTED, "interrupted after %lld images; rerun the same command to resume",
                       done);
    return cl_fail(error, COULIS_INTERRUPTED, "interrupted after %lld of %lld images; rerun the same command to resume",
                   done, (long long)s->total);
}

/* Makes the parts from what the stream gives. */
static coulis_status make_parts(sink *s, coulis_error *error) {
    for (;;) {
        cl_turn turn = CL_TURN_WAITING;
        cl_chunk chunk;
        coulis_status status = wait_turn(s, &turn, &chunk, error);
        if (status) return status;
        if (turn == CL_TURN_WAITING) return stop(s, error);
        if (turn == CL_TURN_END) return end_part(s, error);
        status = take_chunk(s, &chunk, error);
        if (status) return status;
        cl_stream_release(s->stream);
        /* Fast networks have the next chunk ready before anyone waits: do not take that as a reason to go on. */
        if (s->stopping) return stop(s, error);
    }
}

/* For cl_making_plan: of the image of a row that was kept. */
static bool is_current(const void *context, int64_t part, int64_t row, const cl_row *made) {
    const cl_images *images = context;
    const cl_file_state now = images->state(images->context, part * images->rows_per_file + row);
    return cl_file_state_equal(&now, &made->file);
}

coulis_status cl_featurize(const coulis_source *source, const coulis_model *model, const coulis_job_options *options,
                           const cl_images *images, cl_earlier *earlier, const char *folder, const char *recipe,
                           cl_parts *parts, int64_t *rows, int64_t *resumed, coulis_error *error) {
    int32_t workers = options->threads > 0 ? options->threads : coulis_core_count();
    coulis_featurizer *featurizer = NULL;
    if (earlier) cl_earlier_begin(earlier); /* while the network is made ready */
    coulis_status status = cl_reads_images(cl_model_graph(model), error);
    if (!status) status = cl_featurizer_create(model, options->featurizer, workers, &featurizer, error);
    if (status) return status;
    const int64_t length = coulis_featurizer_length(featurizer);
    int64_t group_rows = cl_row_group_rows(length), chunk_rows = (int64_t)workers * CHUNK_ROWS_PER_WORKER;
    if (group_rows > options->rows_per_file) group_rows = options->rows_per_file;
    /* All chunks of the stream together are no more than some three row groups. */
    if (chunk_rows > (group_rows * 3 + 7) / 8) chunk_rows = (group_rows * 3 + 7) / 8;
    sink s = {.options = options,
              .rows_per_part = options->rows_per_file,
              .total = source->count,
              .making_plan = {.folder = folder,
                              .column = "features",
                              .recipe = recipe,
                              .length = length,
                              .group_rows = group_rows,
                              .parts = parts,
                              .is_current = images->state ? is_current : NULL,
                              .context = images,
                              .earlier = earlier,
                              .extra = {.names = source->columns, .count = (int32_t)source->column_count}},
              .progress = {.size = sizeof s.progress, .stage = COULIS_STAGE_FEATURIZE, .total = source->count}};
    const cl_stream_plan plan = {.rows_per_part = s.rows_per_part,
                                 .rows_per_chunk = chunk_rows,
                                 .rows_there = rows_there,
                                 .context = &s,
                                 .carry = {.earlier = earlier, .state = images->state, .context = images->context}};
    status = cl_make_folders(folder, error);
    s.rows = cl_alloc((size_t)chunk_rows, sizeof *s.rows);
    s.texts = cl_alloc_zero((size_t)chunk_rows, (size_t)texts_per_row(&s) * sizeof *s.texts);
    if (!status && (!s.rows || !s.texts)) status = cl_fail_memory(error, "rows", (size_t)chunk_rows * sizeof *s.rows);
    if (!status)
        status = cl_stream_create(source, &plan, featurizer, workers, options->featurizer->image->max_bytes, &s.stream,
                                  error);
    s.began = cl_seconds();
    if (!status) status = make_parts(&s, error);
    cl_making_abort(s.making);
    cl_stream_free(s.stream);
    cl_free(s.rows);
    cl_free(s.texts);
    coulis_featurizer_free(featurizer);
    *rows = cl_shard_rows(options, s.counts.done + s.counts.skipped);
    *resumed = *rows - s.counts.done;
    return status;
}
