#include "pca/source.h"

#include <math.h>

#include "pca/kernels/kernels.h"

static coulis_status read_memory(void *context, int64_t first, int64_t count, float *out, coulis_error *error) {
    (void)error;
    const cl_memory_rows *memory = context;
    memcpy(out, memory->x + first * memory->cols, (size_t)(count * memory->cols) * sizeof *out);
    return COULIS_OK;
}

cl_rows cl_rows_of_memory(cl_memory_rows *memory, const float *x, int64_t rows, int64_t cols) {
    *memory = (cl_memory_rows){x, cols};
    return (cl_rows){.context = memory, .rows = rows, .cols = cols, .read = read_memory};
}

bool cl_rows_in_memory(const cl_rows *rows) { return rows->read == read_memory; }

coulis_status cl_rows_block(const cl_rows *rows, int64_t first, int64_t count, float *buffer, const float **block,
                            coulis_error *error) {
    if (cl_rows_in_memory(rows)) {
        const cl_memory_rows *memory = rows->context;
        *block = memory->x + first * memory->cols;
        return COULIS_OK;
    }
    *block = buffer;
    return rows->read(rows->context, first, count, buffer, error);
}

coulis_status cl_rows_progress(const cl_rows *rows, int64_t done, int64_t total, coulis_error *error) {
    if (rows->progress && rows->progress(rows->progress_context, done, total))
        return cl_fail(error, COULIS_INTERRUPTED,
                       "interrupted while fitting the principal components; rerun the same command to resume");
    return COULIS_OK;
}

/* Columns of a piece: their sums, lows and highs (8 KiB) stay in the first-level cache. */
#define PIECE 512

typedef struct stats {
    const cl_pca_kernels *kernels;
    const float *x;
    int64_t count, cols;
    double *sum;
    float *low, *high;
} stats;

static void stats_piece(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const stats *s = context;
    int64_t begin = piece * PIECE, width = s->cols - begin < PIECE ? s->cols - begin : PIECE;
    memset(s->sum + begin, 0, (size_t)width * sizeof *s->sum);
    memcpy(s->low + begin, s->x + begin, (size_t)width * sizeof *s->low);
    memcpy(s->high + begin, s->x + begin, (size_t)width * sizeof *s->high);
    s->kernels->column_stats(s->count, width, s->x + begin, s->cols, s->sum + begin, s->low + begin, s->high + begin);
}

coulis_status cl_column_stats(cl_pool *pool, const float *x, int64_t first, int64_t count, int64_t cols, double *sum,
                              float *low, float *high, coulis_error *error) {
    stats s = {cl_pca_kernels_get(), x, count, cols, sum, low, high};
    cl_pool_run(pool, (cols + PIECE - 1) / PIECE, stats_piece, &s);
    for (int64_t c = 0; c < cols; c++) {
        if (isfinite(sum[c])) continue; /* no sum of finite floats overflows a double */
        for (int64_t i = 0; i < count * cols; i++)
            if (!isfinite(x[i]))
                return cl_fail(error, COULIS_NUMERIC, "row %lld, column %lld of the input (counted from 0) is %s",
                               (long long)(first + i / cols), (long long)(i % cols),
                               isnan(x[i]) ? "not a number (NaN)" : "infinite");
    }
    return COULIS_OK;
}

double cl_centred_scale(const float *low, const float *high, int64_t cols) {
    double widest = 0;
    for (int64_t c = 0; c < cols; c++) {
        double width = (double)high[c] - (double)low[c];
        if (width > widest) widest = width;
    }
    int exponent;
    frexp(widest, &exponent); /* widest <= 2^exponent; 0 gives 0 */
    return ldexp(1.0, -exponent);
}
