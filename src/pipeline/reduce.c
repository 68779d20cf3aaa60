#include "pipeline/reduce.h"

#include <string.h>

#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "pca/pca.h"
#include "pipeline/clock.h"
#include "pipeline/output.h"

/* Progress of a fit, handed on in the job's own terms. */
typedef struct fit_progress {
    const coulis_job_options *options;
    double began;
} fit_progress;

static int32_t report_fit(void *context, int64_t done, int64_t total) {
    const fit_progress *fit = context;
    coulis_progress progress = {.size = sizeof progress, .stage = COULIS_STAGE_FIT, .done = done, .total = total,
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

/* Memory for one row group: its rows, vectors packed together, and their scores. */
typedef struct block {
    cl_row *rows;
    float *vectors, *scores;
    int64_t capacity;
} block;

static void free_block(block *b) {
    cl_free(b->rows);
    cl_free(b->vectors);
    cl_free(b->scores);
    *b = (block){0};
}

static coulis_status make_block(block *b, int64_t rows, int64_t length, int64_t components, coulis_error *error) {
    if (rows <= b->capacity) return COULIS_OK;
    free_block(b);
    size_t vector, score;
    if (cl_mul_size((size_t)length, sizeof(float), &vector) &&
        cl_mul_size((size_t)components, sizeof(float), &score)) {
        b->rows = cl_alloc((size_t)rows, sizeof *b->rows);
        b->vectors = cl_alloc((size_t)rows, vector);
        b->scores = cl_alloc((size_t)rows, score);
    }
    if (!b->rows || !b->vectors || !b->scores) return cl_fail_memory(error, "scores", (size_t)rows * (size_t)length);
    b->capacity = rows;
    return COULIS_OK;
}

/* Turns the vectors of one row group into scores and writes it. */
static coulis_status transform_group(cl_part_reader *reader, int32_t group, const coulis_pca *pca, cl_pool *pool,
                                     block *b, cl_part_writer *writer, int64_t *rows_done, coulis_error *error) {
    const cl_row *rows;
    int64_t count, valid = 0;
    const int64_t length = coulis_pca_columns(pca), components = coulis_pca_components_count(pca);
    coulis_status status = cl_part_reader_read(reader, group, 1, &rows, &count, error);
    if (status == COULIS_OK) status = make_block(b, count, length, components, error);
    if (status != COULIS_OK) return status;
    for (int64_t i = 0; i < count; i++) {
        b->rows[i] = rows[i];
        if (!rows[i].vector) continue;
        memcpy(b->vectors + valid * length, rows[i].vector, (size_t)length * sizeof(float));
        b->rows[i].vector = b->scores + valid++ * components;
    }
    if (valid > 0) status = cl_pca_transform(pca, b->vectors, valid, pool, b->scores, error);
    if (status == COULIS_OK) status = cl_part_writer_write(writer, b->rows, count, error);
    *rows_done += count;
    return status;
}

/* Tells of progress; what has been done of a part is not kept when that ends the job, as it takes seconds. */
static coulis_status report(const coulis_job_options *options, coulis_progress *progress, double began,
                            coulis_error *error) {
    progress->seconds = cl_seconds() - began;
    if (!options->progress || !options->progress(options->context, progress) || progress->done == progress->total)
        return COULIS_OK;
    return cl_fail(error, COULIS_INTERRUPTED, "interrupted after %lld of %lld rows; rerun the same command to resume",
                   (long long)progress->done, (long long)progress->total);
}

coulis_status cl_transform_table(cl_table *table, const coulis_pca *pca, const coulis_job_options *options,
                                 cl_pool *pool, const char *folder, const char *recipe, coulis_error *error) {
    if (cl_table_vectors(table) > 0 && cl_table_length(table) != coulis_pca_columns(pca))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "the vectors have %lld numbers, the PCA was fitted to %lld",
                       (long long)cl_table_length(table), (long long)coulis_pca_columns(pca));
    coulis_status status = cl_make_folders(folder, error);
    coulis_progress progress = {.size = sizeof progress, .stage = COULIS_STAGE_TRANSFORM,
                                .total = cl_table_rows(table)};
    const double began = cl_seconds();
    block b = {0};
    for (int32_t part = 0; status == COULIS_OK && part < cl_table_parts(table); part++) {
        cl_part_reader *reader = cl_table_part(table, part);
        char *path = cl_part_path(folder, part);
        if (!path) {
            status = cl_fail_memory(error, "a path", strlen(folder));
        } else if (cl_path_exists(path)) { /* a part has its name only when it is whole */
            progress.resumed += cl_part_reader_rows(reader);
            progress.done += cl_part_reader_rows(reader);
        } else {
            cl_part_writer *writer = NULL;
            status = cl_part_writer_open(path, "pca", coulis_pca_components_count(pca), recipe, &writer, error);
            const int32_t groups = cl_part_reader_row_groups(reader);
            for (int32_t g = 0; status == COULIS_OK && g < groups; g++) {
                status = transform_group(reader, g, pca, pool, &b, writer, &progress.done, error);
                if (status == COULIS_OK && g + 1 < groups) status = report(options, &progress, began, error);
            }
            if (status == COULIS_OK) status = cl_part_writer_commit(writer, error);
            else cl_part_writer_abort(writer);
            if (status == COULIS_OK) status = report(options, &progress, began, error);
        }
        cl_free(path);
    }
    free_block(&b);
    return status;
}

coulis_status cl_count_statuses(cl_table *table, int64_t counts[COULIS_MISSING + 1], coulis_error *error) {
    memset(counts, 0, (COULIS_MISSING + 1) * sizeof *counts);
    for (int32_t part = 0; part < cl_table_parts(table); part++) {
        cl_part_reader *reader = cl_table_part(table, part);
        for (int32_t g = 0; g < cl_part_reader_row_groups(reader); g++) {
            const cl_row *rows;
            int64_t count;
            coulis_status status = cl_part_reader_read(reader, g, 0, &rows, &count, error);
            if (status != COULIS_OK) return status;
            for (int64_t i = 0; i < count; i++)
                if (rows[i].status >= 0 && rows[i].status <= COULIS_MISSING) counts[rows[i].status]++;
        }
    }
    return COULIS_OK;
}
