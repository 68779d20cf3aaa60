#include <math.h>

#include "pca/kernels/kernels.h"
#include "pca/model.h"
#include "pca/pca.h"

/* Rows that share one reading of the components, and columns of a run of float sums. */
#define ROWS 32
#define RUN 1024
#define SKEW 16

typedef struct transform {
    const cl_pca_kernels *kernels;
    const coulis_pca *pca;
    const float *x;
    int64_t rows;
    float *scores;
    float *centred; /* per worker: ROWS x (RUN + SKEW) */
    double *sums;   /* per worker: ROWS x count */
} transform;

static void transform_rows(void *context, int64_t piece, int32_t worker) {
    const transform *t = context;
    const coulis_pca *pca = t->pca;
    int64_t first = piece * ROWS, height = t->rows - first < ROWS ? t->rows - first : ROWS, cols = pca->cols;
    float *centred = t->centred + (int64_t)worker * ROWS * (RUN + SKEW);
    double *sums = t->sums + (int64_t)worker * ROWS * pca->count;
    memset(sums, 0, (size_t)(ROWS * pca->count) * sizeof *sums);
    for (int64_t c = 0; c < cols; c += RUN) {
        int64_t width = cols - c < RUN ? cols - c : RUN;
        t->kernels->centre(height, width, t->x + first * cols + c, cols, pca->mean + c, 1.0, centred, RUN + SKEW);
        t->kernels->dot(height, pca->count, width, centred, RUN + SKEW, pca->components + c, cols, 1.0, sums,
                        pca->count);
    }
    for (int64_t i = 0; i < height * pca->count; i++) t->scores[first * pca->count + i] = (float)sums[i];
}

/* Says which element of x made a score that is not finite, if there is one. */
static coulis_status check_scores(const transform *t, coulis_error *error) {
    const coulis_pca *pca = t->pca;
    for (int64_t i = 0; i < t->rows * pca->count; i++) {
        if (isfinite(t->scores[i])) continue;
        int64_t row = i / pca->count;
        for (int64_t c = 0; c < pca->cols; c++)
            if (!isfinite(t->x[row * pca->cols + c]))
                return cl_fail(error, COULIS_NUMERIC, "row %lld, column %lld of the input (counted from 0) is %s",
                               (long long)row, (long long)c,
                               isnan(t->x[row * pca->cols + c]) ? "not a number (NaN)" : "infinite");
        return cl_fail(error, COULIS_NUMERIC,
                       "row %lld of the input (counted from 0) has a score too large for a float", (long long)row);
    }
    return COULIS_OK;
}

coulis_status cl_pca_transform(const coulis_pca *pca, const float *x, int64_t rows, cl_pool *pool, float *scores,
                               coulis_error *error) {
    size_t threads = (size_t)cl_pool_threads(pool), count = (size_t)pca->count;
    transform t = {.kernels = cl_pca_kernels_get(),
                   .pca = pca,
                   .x = x,
                   .rows = rows,
                   .scores = scores,
                   .centred = cl_alloc(threads, ROWS * (RUN + SKEW) * sizeof *t.centred),
                   .sums = cl_alloc(threads, ROWS * count * sizeof *t.sums)};
    coulis_status status = COULIS_OK;
    if (!t.centred || !t.sums) {
        status = cl_fail_memory(error, "scores", threads * ROWS * (RUN * 4 + count * 8));
    } else {
        cl_pool_run(pool, (rows + ROWS - 1) / ROWS, transform_rows, &t);
        status = check_scores(&t, error);
    }
    cl_free(t.centred);
    cl_free(t.sums);
    return status;
}

coulis_status coulis_pca_transform(const coulis_pca *pca, const float *x, int64_t rows, int32_t threads, float *scores,
                                   coulis_error *error) {
    if (!pca || rows < 0 || (rows > 0 && (!x || !scores)))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "pca_transform needs a model, a matrix and a place for scores");
    cl_pool *pool;
    coulis_status status = cl_pool_create(threads, &pool, error);
    if (status) return status;
    status = cl_pca_transform(pca, x, rows, pool, scores, error);
    cl_pool_free(pool);
    return cl_done(status, error);
}

coulis_status coulis_pca_inverse_transform(const coulis_pca *pca, const float *scores, int64_t rows, float *x,
                                           coulis_error *error) {
    if (!pca || rows < 0 || (rows > 0 && (!x || !scores)))
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "pca_inverse_transform needs a model, scores and a place for the matrix");
    double sums[RUN];
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < pca->cols; c += RUN) {
            int64_t width = pca->cols - c < RUN ? pca->cols - c : RUN;
            memcpy(sums, pca->mean + c, (size_t)width * sizeof *sums);
            for (int64_t j = 0; j < pca->count; j++) {
                double score = (double)scores[r * pca->count + j];
                const float *component = pca->components + j * pca->cols + c;
                for (int64_t i = 0; i < width; i++) sums[i] += score * (double)component[i];
            }
            for (int64_t i = 0; i < width; i++) x[r * pca->cols + c + i] = (float)sums[i];
        }
    }
    return cl_done(COULIS_OK, error);
}
