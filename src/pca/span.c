#include "pca/span.h"

#include "pca/kernels/kernels.h"
#include "pca/model.h"
#include "pca/pca.h"
#include "pca/source.h"

#define BLOCK_ROWS 1024
#define BLOCK_BYTES (64LL << 20)
#define SKEW 16
/* Columns that are transposed at a time. */
#define STRIPE 64
/* Columns that a caller may have: 2^31 floats in a row are 8 GiB. */
#define COLS_MAX INT32_MAX

struct coulis_span {
    cl_pool *pool, *own_pool; /* own_pool: to be freed with it */
    const cl_pca_kernels *kernels;
    int64_t cols, count, block_rows; /* count: of vectors; 0: statistics */
    const double *mean;
    const float *vectors;
    double scale;
    bool measure;
    /* Statistics. */
    double *sum;
    float *limits; /* low and high of a block, lowest and highest of the span: cols each */
    /* Products. */
    double *out;             /* count x cols */
    double *squares;         /* cols: sums of squares of the centred columns */
    float *forth, *scores;   /* block_rows x count, and transposed and scaled */
    float *transposed;       /* per worker: STRIPE x (BLOCK_ROWS + SKEW) */
    double *sums;            /* per worker: STRIPE x count */
    int64_t blocks;          /* of this span so far */
    float *rest;             /* rows of a block that is not whole yet; NULL until there is one */
    int64_t rest_rows, rows; /* rows: of this span so far */
};

int64_t cl_span_block_rows(int64_t cols) {
    int64_t rows = BLOCK_BYTES / (cols * 4);
    return rows < 1 ? 1 : rows > BLOCK_ROWS ? BLOCK_ROWS : rows;
}

int64_t coulis_span_rows(int64_t cols) {
    return cols < 1 || cols > COLS_MAX ? 0 : CL_SPAN_BLOCKS * cl_span_block_rows(cols);
}

static void start(coulis_span *s) {
    size_t cols = (size_t)s->cols;
    if (s->count) memset(s->out, 0, (size_t)s->count * cols * sizeof *s->out);
    if (s->count && s->measure) memset(s->squares, 0, cols * sizeof *s->squares);
    s->blocks = s->rows = 0;
}

coulis_status cl_span_open(cl_pool *pool, int64_t cols, const double *mean, double scale, const float *vectors,
                           int64_t count, bool measure, coulis_span **span, coulis_error *error) {
    coulis_span *s = cl_alloc_zero(1, sizeof *s);
    if (!s) return cl_fail_memory(error, "sums", sizeof *s);
    *s = (coulis_span){.pool = pool,
                       .kernels = cl_pca_kernels_get(),
                       .cols = cols,
                       .count = count,
                       .mean = mean,
                       .vectors = vectors,
                       .scale = scale,
                       .measure = measure,
                       .block_rows = cl_span_block_rows(cols)};
    size_t threads = (size_t)cl_pool_threads(pool), wide = (size_t)cols, vector_count = (size_t)count;
    size_t elements, bytes;
    bool fits = cl_mul_size(vector_count, wide, &elements) && cl_mul_size(elements, sizeof *s->out, &bytes);
    if (count) {
        if (fits) s->out = cl_alloc(elements, sizeof *s->out);
        s->squares = cl_alloc(wide, sizeof *s->squares);
        s->forth = cl_alloc((size_t)s->block_rows, vector_count * sizeof *s->forth);
        s->scores = cl_alloc((size_t)s->block_rows, vector_count * sizeof *s->scores);
        s->transposed = cl_alloc(threads, STRIPE * (BLOCK_ROWS + SKEW) * sizeof *s->transposed);
        s->sums = cl_alloc(threads, STRIPE * vector_count * sizeof *s->sums);
    } else {
        s->sum = cl_alloc(2 * wide, sizeof *s->sum);
        s->limits = cl_alloc(4 * wide, sizeof *s->limits);
    }
    bool whole = count ? s->out && s->squares && s->forth && s->scores && s->transposed && s->sums
                       : s->sum && s->limits;
    if (!whole) {
        coulis_span_free(s);
        return cl_fail_memory(error, "sums", (wide + threads * STRIPE) * (vector_count + 4) * sizeof *s->out);
    }
    start(s);
    *span = s;
    return COULIS_OK;
}

void coulis_span_free(coulis_span *s) {
    if (!s) return;
    cl_free(s->sum);
    cl_free(s->limits);
    cl_free(s->out);
    cl_free(s->squares);
    cl_free(s->forth);
    cl_free(s->scores);
    cl_free(s->transposed);
    cl_free(s->sums);
    cl_free(s->rest);
    cl_pool_free(s->own_pool);
    cl_free(s);
}

/* ---- statistics ------------------------------------------------------------------------------- */

static coulis_status add_statistics(coulis_span *s, const float *x, int64_t first, int64_t rows, coulis_error *error) {
    double *block = s->sum + s->cols;
    float *low = s->limits, *high = low + s->cols, *lowest = high + s->cols, *highest = lowest + s->cols;
    coulis_status status = cl_column_stats(s->pool, x, first, rows, s->cols, block, low, high, error);
    for (int64_t c = 0; c < s->cols && !status; c++) {
        s->sum[c] = s->blocks ? s->sum[c] + block[c] : block[c];
        if (!s->blocks || low[c] < lowest[c]) lowest[c] = low[c];
        if (!s->blocks || high[c] > highest[c]) highest[c] = high[c];
    }
    return status;
}

void cl_span_fold_statistics(coulis_span *s, bool is_first, double *sums, float *lowest, float *highest) {
    const float *low = s->limits + 2 * s->cols, *high = low + s->cols;
    for (int64_t c = 0; c < s->cols; c++) {
        sums[c] = is_first ? s->sum[c] : sums[c] + s->sum[c];
        if (is_first || low[c] < lowest[c]) lowest[c] = low[c];
        if (is_first || high[c] > highest[c]) highest[c] = high[c];
    }
    start(s);
}

/* ---- products ------------------------------------------------------------------------------------ */

typedef struct back {
    coulis_span *span;
    const float *x;
    int64_t rows;
} back;

/* The way back of one block: scores times centred rows. */
static void back_stripe(void *context, int64_t piece, int32_t worker) {
    const back *b = context;
    coulis_span *s = b->span;
    int64_t cols = s->cols, column = piece * STRIPE, width = cols - column < STRIPE ? cols - column : STRIPE;
    float *transposed = s->transposed + (int64_t)worker * STRIPE * (BLOCK_ROWS + SKEW);
    double *sums = s->sums + (int64_t)worker * STRIPE * s->count;
    memset(sums, 0, (size_t)(STRIPE * s->count) * sizeof *sums);
    s->kernels->centre_transposed(b->rows, width, b->x + column, cols, s->mean + column, s->scale, transposed,
                                  BLOCK_ROWS + SKEW);
    s->kernels->dot(width, s->count, b->rows, transposed, BLOCK_ROWS + SKEW, s->scores, b->rows,
                    1 / (s->scale * s->scale), sums, s->count);
    for (int64_t j = 0; j < s->count; j++)
        for (int64_t c = 0; c < width; c++) s->out[j * cols + column + c] += sums[c * s->count + j];
    for (int64_t r = 0; r < b->rows && s->measure; r++)
        for (int64_t c = column; c < column + width; c++) {
            double centred = (double)b->x[r * cols + c] - s->mean[c];
            s->squares[c] += centred * centred;
        }
}

static coulis_status add_products(coulis_span *s, const float *x, int64_t rows, coulis_error *error) {
    /* Scores are those of a model whose components are the vectors; it is only read. */
    coulis_pca model = {.count = s->count,
                        .cols = s->cols,
                        .mean = (double *)(uintptr_t)s->mean,
                        .components = (float *)(uintptr_t)s->vectors};
    coulis_status status = cl_pca_transform(&model, x, rows, s->pool, s->forth, error);
    for (int64_t r = 0; r < rows && !status; r++)
        for (int64_t j = 0; j < s->count; j++)
            s->scores[j * rows + r] = (float)((double)s->forth[r * s->count + j] * s->scale);
    back b = {s, x, rows};
    if (!status) cl_pool_run(s->pool, (s->cols + STRIPE - 1) / STRIPE, back_stripe, &b);
    return status;
}

void cl_span_fold_products(coulis_span *s, double *products, double *squares) {
    for (int64_t i = 0; i < s->count * s->cols; i++) products[i] += s->out[i];
    for (int64_t c = 0; c < s->cols && squares; c++) squares[c] += s->squares[c];
    start(s);
}

coulis_status cl_span_block(coulis_span *s, const float *x, int64_t first, int64_t rows, coulis_error *error) {
    coulis_status status = s->count ? add_products(s, x, rows, error) : add_statistics(s, x, first, rows, error);
    if (!status) s->blocks++;
    return status;
}

/* ---- for other machines ---------------------------------------------------------------------------- */

coulis_status coulis_span_create(int64_t cols, const double *mean, double scale, const float *vectors, int64_t count,
                                 int32_t threads, coulis_span **span, coulis_error *error) {
    if (!span || cols < 1 || cols > COLS_MAX || count < 0 || count > INT32_MAX || (count && (!mean || !vectors)) ||
        (count && !(scale > 0)))
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "span_create needs a number of columns, their mean, scale and vectors, or none of these three, "
                       "and a place for the span");
    cl_pool *pool;
    coulis_status status = cl_pool_create(threads, &pool, error);
    if (status) return status;
    status = cl_span_open(pool, cols, mean, scale, vectors, count, true, span, error);
    if (status) cl_pool_free(pool);
    else (*span)->own_pool = pool;
    return cl_done(status, error);
}

coulis_status coulis_span_add(coulis_span *s, const float *x, int64_t rows, coulis_error *error) {
    if (!s || !x || rows < 0) return cl_fail(error, COULIS_INVALID_ARGUMENT, "span_add needs a span and rows");
    if (rows > coulis_span_rows(s->cols) - s->rows)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "a span of %lld columns has %lld rows at most: take its sums",
                       (long long)s->cols, (long long)coulis_span_rows(s->cols));
    size_t row = (size_t)s->cols * sizeof *x;
    coulis_status status = COULIS_OK;
    while (rows > 0 && !status) {
        int64_t first = s->blocks * s->block_rows, taken = s->block_rows - s->rest_rows;
        if (taken > rows) taken = rows;
        if (taken == s->block_rows) {
            status = cl_span_block(s, x, first, taken, error);
        } else {
            if (!s->rest) s->rest = cl_alloc((size_t)s->block_rows, row);
            if (!s->rest) return cl_fail_memory(error, "rows", (size_t)s->block_rows * row);
            memcpy(s->rest + s->rest_rows * s->cols, x, (size_t)taken * row);
            s->rest_rows += taken;
            if (s->rest_rows == s->block_rows) {
                status = cl_span_block(s, s->rest, first, s->rest_rows, error);
                s->rest_rows = 0;
            }
        }
        if (!status) s->rows += taken;
        x += taken * s->cols;
        rows -= taken;
    }
    return cl_done(status, error);
}

/* The rows that are left become the last block. */
static coulis_status end_span(coulis_span *s, coulis_error *error) {
    if (s->rows == 0) return cl_fail(error, COULIS_INVALID_ARGUMENT, "a span without rows has no sums");
    int64_t rows = s->rest_rows;
    s->rest_rows = 0;
    return rows ? cl_span_block(s, s->rest, s->blocks * s->block_rows, rows, error) : COULIS_OK;
}

coulis_status coulis_span_statistics(coulis_span *s, double *sums, float *lowest, float *highest, coulis_error *error) {
    if (!s || s->count || !sums || !lowest || !highest)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "span_statistics needs a span without vectors, and three places");
    coulis_status status = end_span(s, error);
    if (!status) cl_span_fold_statistics(s, true, sums, lowest, highest);
    return cl_done(status, error);
}

coulis_status coulis_span_products(coulis_span *s, double *products, double *squares, coulis_error *error) {
    if (!s || !s->count || !products || !squares)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "span_products needs a span with vectors, and two places");
    coulis_status status = end_span(s, error);
    if (!status) {
        memset(products, 0, (size_t)(s->count * s->cols) * sizeof *products);
        memset(squares, 0, (size_t)s->cols * sizeof *squares);
        cl_span_fold_products(s, products, squares);
    }
    return cl_done(status, error);
}
