#include "pca/product.h"

#include "pca/source.h"
#include "pca/span.h"

/* How many passes over the rows fill half of the progress bar; nobody knows beforehand how many there will be. */
#define HALF 8

struct cl_product {
    const cl_rows *rows;
    const coulis_spans *spans; /* instead of `rows`: they are elsewhere */
    cl_pool *pool;
    int64_t cols, count, passes; /* count: of rows */
    float *buffer;               /* NULL when the rows are in memory, or elsewhere */
    double *mean, *squares;      /* cols; squares: sums of squares of the centred columns */
    double scale, trace;
};

static coulis_status tell(const cl_product *p, int64_t row, coulis_error *error) {
    double passes = (double)p->passes + (double)row / (double)p->count;
    return cl_rows_progress(p->rows, (int64_t)((double)p->count * passes / (passes + HALF)), p->count, error);
}

/* Reads all rows once, span by span; `fold` takes what each of them gives. */
static coulis_status read_all(cl_product *p, coulis_span *span, void (*fold)(void *context, bool is_first),
                              void *context, coulis_error *error) {
    int64_t block = cl_span_block_rows(p->cols), span_rows = CL_SPAN_BLOCKS * block;
    coulis_status status = COULIS_OK;
    for (int64_t first = 0, count; first < p->count && !status; first += count) {
        const float *x;
        count = p->count - first < block ? p->count - first : block;
        status = cl_rows_block(p->rows, first, count, p->buffer, &x, error);
        if (!status) status = cl_span_block(span, x, first, count, error);
        if (!status && ((first + count) % span_rows == 0 || first + count == p->count))
            fold(context, first < span_rows);
        if (!status) status = tell(p, first + count, error);
    }
    return status;
}

static coulis_status stopped(coulis_error *error) {
    return cl_fail(error, COULIS_INTERRUPTED, "whoever has the rows stopped the fit");
}

/* ---- the mean ------------------------------------------------------------------------------------ */

typedef struct statistics {
    coulis_span *span;
    double *sums;
    float *lowest, *highest;
} statistics;

static void fold_statistics(void *context, bool is_first) {
    const statistics *s = context;
    cl_span_fold_statistics(s->span, is_first, s->sums, s->lowest, s->highest);
}

static coulis_status find_mean(cl_product *p, coulis_error *error) {
    float *limits = cl_alloc((size_t)p->cols, 2 * sizeof *limits);
    if (!limits) return cl_fail_memory(error, "the mean", (size_t)p->cols * 2 * sizeof *limits);
    statistics s = {.sums = p->mean, .lowest = limits, .highest = limits + p->cols};
    coulis_status status = COULIS_OK;
    if (p->spans) {
        if (p->spans->statistics(p->spans->context, s.sums, s.lowest, s.highest)) status = stopped(error);
    } else {
        status = cl_span_open(p->pool, p->cols, NULL, 0, NULL, 0, false, &s.span, error);
        if (!status) status = read_all(p, s.span, fold_statistics, &s, error);
        coulis_span_free(s.span);
    }
    for (int64_t c = 0; c < p->cols && !status; c++) p->mean[c] /= (double)p->count;
    if (!status) p->scale = cl_centred_scale(s.lowest, s.highest, p->cols);
    p->passes = 1;
    cl_free(limits);
    return status;
}

static coulis_status open_product(cl_product *p, coulis_error *error) {
    size_t cols = (size_t)p->cols;
    p->mean = cl_alloc_zero(cols, sizeof *p->mean);
    p->squares = cl_alloc_zero(cols, sizeof *p->squares);
    bool reads = p->rows && !cl_rows_in_memory(p->rows);
    if (reads) p->buffer = cl_alloc((size_t)cl_span_block_rows(p->cols), cols * sizeof *p->buffer);
    if ((reads && !p->buffer) || !p->mean || !p->squares)
        return cl_fail_memory(error, "a block of rows", (size_t)cl_span_block_rows(p->cols) * cols * sizeof *p->buffer);
    return find_mean(p, error);
}

coulis_status cl_product_open(const cl_rows *rows, const coulis_spans *spans, cl_pool *pool, cl_product **product,
                              coulis_error *error) {
    cl_product *p = cl_alloc_zero(1, sizeof *p);
    if (!p) return cl_fail_memory(error, "the mean", sizeof *p);
    *p = (cl_product){.rows = rows,
                      .spans = spans,
                      .pool = pool,
                      .cols = rows ? rows->cols : spans->cols,
                      .count = rows ? rows->rows : spans->rows,
                      .trace = -1};
    coulis_status status = open_product(p, error);
    if (status) cl_product_close(p);
    else *product = p;
    return status;
}

void cl_product_close(cl_product *p) {
    if (!p) return;
    cl_free(p->buffer);
    cl_free(p->mean);
    cl_free(p->squares);
    cl_free(p);
}

const double *cl_product_mean(const cl_product *p) { return p->mean; }
double cl_product_trace(const cl_product *p) { return p->trace; }

/* ---- a pass ----------------------------------------------------------------------------------- */

typedef struct products {
    coulis_span *span;
    double *out, *squares; /* squares: NULL when they are known */
} products;

static void fold_products(void *context, bool is_first) {
    (void)is_first;
    const products *s = context;
    cl_span_fold_products(s->span, s->out, s->squares);
}

coulis_status cl_product_apply(cl_product *p, int64_t count, const float *vectors, double *out, coulis_error *error) {
    bool measure = p->trace < 0;
    products s = {.out = out, .squares = measure ? p->squares : NULL};
    coulis_status status = COULIS_OK;
    memset(out, 0, (size_t)(count * p->cols) * sizeof *out);
    if (p->spans) {
        /* Squares are given every time: whoever has the rows need not know whether they are wanted. */
        if (p->spans->products(p->spans->context, p->mean, p->scale, vectors, count, out, p->squares))
            status = stopped(error);
    } else {
        status = cl_span_open(p->pool, p->cols, p->mean, p->scale, vectors, count, measure, &s.span, error);
        if (!status) status = read_all(p, s.span, fold_products, &s, error);
        coulis_span_free(s.span);
    }
    p->passes++;
    if (!status && measure) {
        p->trace = 0;
        for (int64_t c = 0; c < p->cols; c++) p->trace += p->squares[c];
    }
    return status;
}
