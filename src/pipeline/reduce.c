#include "pipeline/reduce.h"

#include "base/files.h"
#include "base/sync.h"
#include "image/format.h"
#include "pca/pca.h"
#include "pipeline/clock.h"
#include "pipeline/output.h"
#include "pipeline/recipe.h"

/* Progress of a fit, handed on in the job's own terms. */
typedef struct fit_progress {
    const coulis_job_options *options;
    double began;
} fit_progress;

static int32_t report_fit(void *context, int64_t done, int64_t total) {
    const fit_progress *fit = context;
    coulis_progress progress = {.size = sizeof progress,
                                .stage = COULIS_STAGE_FIT,
                                .done = done,
                                .total = total,
                                .seconds = cl_seconds() - fit->began};
    return fit->options->progress(fit->options->context, &progress);
}

coulis_status cl_fit_table(cl_table *table, const coulis_job_options *options, cl_pool *pool, coulis_pca **pca,
                           coulis_error *error) {
    fit_progress progress = {.options = options, .began = cl_seconds()};
    cl_rows rows = cl_table_vectors_source(table);
    if (options->progress) {
        rows.progress = report_fit;
        rows.progress_context = &progress;
    }
    coulis_pca_options wanted;
    coulis_pca_options_init(&wanted, sizeof wanted);
    wanted.components = options->components;
    return cl_pca_fit(&rows, &wanted, pool, pca, error);
}

/* One row group: its scores, and its rows, which have them for vectors. */
typedef struct block {
    float *scores;
    cl_row *rows;
    char **texts; /* of each row */
    int64_t count, capacity;
} block;

static void empty_block(block *b) {
    for (int64_t i = 0; i < b->count; i++) cl_free(b->texts[i]);
    b->count = 0;
}

static void free_block(block *b) {
    empty_block(b);
    cl_free(b->rows);
    cl_free(b->texts);
    cl_free(b->scores);
    *b = (block){0};
}

static coulis_status make_block(block *b, int64_t rows, int64_t components, coulis_error *error) {
    empty_block(b);
    if (rows <= b->capacity) return COULIS_OK;
    free_block(b);
    size_t score;
    if (cl_mul_size((size_t)components, sizeof(float), &score)) {
        b->rows = cl_alloc((size_t)rows, sizeof *b->rows);
        b->texts = cl_alloc((size_t)rows, sizeof *b->texts);
        b->scores = cl_alloc((size_t)rows, score);
    }
    if (!b->rows || !b->texts || !b->scores) return cl_fail_memory(error, "scores", (size_t)rows * (size_t)components);
    b->capacity = rows;
    return COULIS_OK;
}

/* The writing of one block at a time, on a thread of its own where one can be had: until it has ended, the writer and
 * the block are the thread's. */
typedef struct writing {
    cl_part_writer *writer;
    const block *block;
    cl_beside beside;
    coulis_status status;
    coulis_error error;
} writing;

static void *write_block(void *argument) {
    writing *w = argument;
    w->status = cl_part_writer_write(w->writer, w->block->rows, w->block->count, &w->error);
    return NULL;
}

static void begin_writing(writing *w, const block *b) {
    w->block = b;
    cl_beside_begin(&w->beside, write_block, w);
}

/* Waits for what was begun last, if anything was; what came of it. */
static coulis_status end_writing(writing *w, coulis_error *error) {
    cl_beside_end(&w->beside);
    return w->status ? cl_fail(error, w->status, "%s", w->error.message) : COULIS_OK;
}

/* What is done with the scores of a table. */
typedef struct transforming {
    const coulis_pca *pca;
    const coulis_job_options *options;
    cl_pool *pool;
    const cl_scores_to *to;
    block blocks[2]; /* one is written while the other is scored */
    coulis_progress progress;
    double began;
} transforming;

/* The scores of one row group, in a block that nothing else uses. *rows, which are *count, are the reader's. */
static coulis_status score_group(transforming *t, cl_part_reader *reader, int32_t group, block *b, const cl_row **rows,
                                 int64_t *count, coulis_error *error) {
    int64_t valid = 0;
    coulis_status status = cl_part_reader_read(reader, group, 1, rows, count, error);
    if (!status) status = make_block(b, *count, coulis_pca_components_count(t->pca), error);
    if (status) return status;
    const float *vectors = NULL; /* one after another, as the reader has them */
    for (int64_t i = 0; i < *count; i++)
        if ((*rows)[i].vector && valid++ == 0) vectors = (*rows)[i].vector;
    if (valid > 0) status = cl_pca_transform(t->pca, vectors, valid, t->pool, b->scores, error);
    if (!status && t->to->spread) cl_spread_add(t->to->spread, vectors, b->scores, valid);
    t->progress.done += *count;
    return status;
}

/* Gives a block rows of its own, as the reader goes on while they are written. */
static coulis_status take_rows(block *b, const cl_row *rows, int64_t count, int64_t components, coulis_error *error) {
    const float *score = b->scores;
    for (int64_t i = 0; i < count; i++, b->count++) {
        b->texts[i] = cl_row_copy(&rows[i], &b->rows[i]);
        if (!b->texts[i]) return cl_fail_memory(error, "a row", strlen(rows[i].path));
        if (!rows[i].vector) continue;
        b->rows[i].vector = score;
        score += components;
    }
    return COULIS_OK;
}

/* Tells of progress; what has been done of a part is not kept when that ends the job, as it takes seconds. */
static coulis_status report(transforming *t, coulis_error *error) {
    coulis_progress *progress = &t->progress;
    progress->seconds = cl_seconds() - t->began;
    if (!t->options->progress || !t->options->progress(t->options->context, progress) ||
        progress->done == progress->total)
        return COULIS_OK;
    return cl_fail(error, COULIS_INTERRUPTED, "interrupted after %lld of %lld rows; rerun the same command to resume",
                   (long long)progress->done, (long long)progress->total);
}

static coulis_status make_scores(transforming *t, cl_part_reader *reader, int32_t part, const char *path,
                                 coulis_error *error) {
    writing w = {0};
    const cl_extra extra = cl_part_reader_extra(reader);
    const int64_t components = coulis_pca_components_count(t->pca);
    coulis_status status = cl_part_writer_open(path, "pca", components, t->to->recipe, &extra, &w.writer, error);
    const int32_t groups = cl_part_reader_row_groups(reader);
    for (int32_t g = 0; !status && g < groups; g++) {
        block *b = &t->blocks[g % 2];
        const cl_row *rows;
        int64_t count;
        status = score_group(t, reader, g, b, &rows, &count, error);
        if (!status) status = take_rows(b, rows, count, components, error);
        if (!status) status = end_writing(&w, error);
        if (!status) begin_writing(&w, b);
        if (!status && g + 1 < groups) status = report(t, error);
    }
    const coulis_status ended = end_writing(&w, status ? NULL : error); /* whatever has happened */
    if (!status) status = ended;
    if (!status) status = cl_parts_commit(t->to->parts, CL_KIND_REDUCED, part, t->to->pca_sha256, w.writer, error);
    else cl_part_writer_abort(w.writer);
    return status ? status : report(t, error);
}

/* A part that an earlier run wrote: its rows count, and their spread, if that is wanted. */
static coulis_status pass_over(transforming *t, cl_part_reader *reader, coulis_error *error) {
    const int64_t rows = cl_part_reader_rows(reader), done = t->progress.done;
    coulis_status status = COULIS_OK;
    for (int32_t g = 0; t->to->spread && !status && g < cl_part_reader_row_groups(reader); g++) {
        const cl_row *unused;
        int64_t count;
        status = score_group(t, reader, g, &t->blocks[0], &unused, &count, error);
    }
    t->progress.resumed += rows;
    t->progress.done = done + rows;
    return status;
}

coulis_status cl_transform_table(cl_table *table, const coulis_pca *pca, const coulis_job_options *options,
                                 cl_pool *pool, const cl_scores_to *to, coulis_error *error) {
    if (cl_table_vectors(table) > 0 && cl_table_length(table) != coulis_pca_columns(pca))
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "the vectors have %lld dimensions, the PCA was fitted to vectors of %lld",
                       (long long)cl_table_length(table), (long long)coulis_pca_columns(pca));
    transforming t = {
        .pca = pca,
        .options = options,
        .pool = pool,
        .to = to,
        .began = cl_seconds(),
        .progress = {.size = sizeof t.progress, .stage = COULIS_STAGE_TRANSFORM, .total = cl_table_rows(table)}};
    coulis_status status = cl_make_folders(to->folder, error);
    for (int32_t part = 0; !status && part < cl_table_parts(table); part++) {
        cl_part_reader *reader = cl_table_part(table, part);
        char *path = cl_part_path(to->folder, part);
        if (!path) status = cl_fail_memory(error, "a path", strlen(to->folder));
        else if (cl_path_exists(path)) status = pass_over(&t, reader, error);
        else status = make_scores(&t, reader, part, path, error);
        cl_free(path);
    }
    for (int i = 0; i < 2; i++) free_block(&t.blocks[i]);
    return status;
}

static coulis_status count_part(cl_part_reader *reader, coulis_job_result *result, coulis_error *error) {
    for (int32_t g = 0; g < cl_part_reader_row_groups(reader); g++) {
        const cl_row *rows;
        int64_t count;
        coulis_status status = cl_part_reader_read(reader, g, 0, &rows, &count, error);
        if (status) return status;
        for (int64_t i = 0; i < count; i++) {
            result->counts[rows[i].status]++; /* the reader has checked it */
            result->not_images += rows[i].status == COULIS_UNSUPPORTED && !cl_is_image_name(rows[i].path);
        }
    }
    return COULIS_OK;
}

coulis_status cl_count_statuses(cl_table *table, coulis_job_result *result, coulis_error *error) {
    coulis_status status = COULIS_OK;
    for (int32_t part = 0; !status && part < cl_table_parts(table); part++)
        status = count_part(cl_table_part(table, part), result, error);
    return status;
}

coulis_status cl_count_parts(const cl_parts *parts, cl_kind kind, coulis_job_result *result, int64_t *rows,
                             coulis_error *error) {
    coulis_status status = COULIS_OK;
    *rows = 0;
    for (int64_t i = 0; !status && i < parts->count; i++) {
        if (parts->records[i].kind != kind) continue;
        char name[CL_PART_NAME];
        cl_part_name(kind, parts->records[i].number, name);
        char *path = cl_format("%s/%s", parts->folder, name);
        cl_part_reader *reader = NULL;
        if (!path) return cl_fail_memory(error, "a path", strlen(parts->folder));
        status = cl_part_reader_open(path, kind == CL_KIND_FEATURES ? "features" : "pca", &reader, error);
        if (!status) status = count_part(reader, result, error);
        if (!status) *rows += cl_part_reader_rows(reader);
        cl_part_reader_close(reader);
        cl_free(path);
    }
    return status;
}

coulis_status cl_check_recipes(cl_table *table, coulis_error *error) {
    const char *first = cl_table_recipe(table);
    for (int32_t part = 1; part < cl_table_parts(table); part++) {
        const cl_part_reader *reader = cl_table_part(table, part);
        const char *recipe = cl_part_reader_recipe(reader);
        if (recipe && first && strcmp(recipe, first) == 0) continue;
        if (!recipe && !first) continue;
        if (!recipe || !first || cl_recipe_compare(recipe, first, NULL, NULL) != COULIS_OK)
            return cl_fail(error, COULIS_BAD_DATA,
                           "%s: its vectors were made by another recipe than those of the parts before it",
                           cl_part_reader_path(reader));
    }
    return COULIS_OK;
}

coulis_status cl_table_sha256(cl_table *table, char sha256[CL_SHA256_TEXT], coulis_error *error) {
    cl_sha256 hash;
    cl_sha256_begin(&hash);
    coulis_status status = COULIS_OK;
    for (int32_t part = 0; !status && part < cl_table_parts(table); part++) {
        char digest[CL_SHA256_TEXT];
        int64_t bytes;
        status = cl_file_sha256(cl_part_reader_path(cl_table_part(table, part)), &bytes, digest, error);
        if (!status) cl_sha256_add(&hash, digest, sizeof digest);
    }
    cl_sha256_end(&hash, sha256);
    return status;
}
