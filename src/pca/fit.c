/* Which way a fit goes, and the ways that hold a matrix in memory. */
#include <math.h>

#include "base/sized.h"
#include "base/words.h"
#include "pca/exact.h"
#include "pca/krylov.h"
#include "pca/moments.h"
#include "pca/pca.h"
#include "pca/source.h"

void coulis_pca_options_init(coulis_pca_options *options, size_t size) {
    const coulis_pca_options defaults = {.size = sizeof defaults, .solver = COULIS_SOLVER_AUTO};
    cl_sized_init(options, size, &defaults, sizeof defaults);
}

/* ---- what is asked for -------------------------------------------------------------------- */

/* *wanted: the caller's options, or the defaults. */
static coulis_status read_options(const coulis_pca_options *options, coulis_pca_options *wanted, coulis_error *error) {
    coulis_pca_options_init(wanted, sizeof *wanted);
    coulis_status status = cl_sized_read(options, "coulis_pca_options", wanted, sizeof *wanted, error);
    return status ? status : cl_check_option("solver", wanted->solver, error);
}

static coulis_status check_question(int64_t rows, int64_t cols, double components, coulis_error *error) {
    if (cols < 1) return cl_fail(error, COULIS_INVALID_ARGUMENT, "PCA needs vectors of at least one number");
    if (rows < 2)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "PCA needs at least two images with a vector, and there %s %lld",
                       rows == 1 ? "is" : "are", (long long)rows);
    if (!(components >= 0) || (components >= 1 && floor(components) != components))
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "components must be a whole number, or a share between 0 and 1, not %g", components);
    if (components > (double)cl_smaller(rows, cols))
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "%.0f components asked for, but %lld rows of %lld columns have at most %lld", components,
                       (long long)rows, (long long)cols, (long long)cl_smaller(rows, cols));
    return COULIS_OK;
}

/* Replaces COULIS_SOLVER_AUTO by what it stands for, and refuses a solver that does not take this shape. */
static coulis_status choose_solver(int64_t rows, int64_t cols, int32_t *solver, coulis_error *error) {
    if (*solver == COULIS_SOLVER_AUTO)
        *solver = cl_smaller(rows, cols) > CL_SIDE_MAX ? COULIS_SOLVER_RANDOMIZED
                  : rows < cols                        ? COULIS_SOLVER_GRAM
                                                       : COULIS_SOLVER_COVARIANCE;
    if (*solver == COULIS_SOLVER_COVARIANCE && cols > CL_SIDE_MAX)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "the covariance solver takes at most %d columns, not %lld: ask for gram, randomized or auto",
                       CL_SIDE_MAX, (long long)cols);
    if (*solver == COULIS_SOLVER_GRAM && rows > CL_SIDE_MAX)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "the gram solver takes at most %d rows, not %lld: ask for covariance, randomized or auto",
                       CL_SIDE_MAX, (long long)rows);
    return COULIS_OK;
}

/* ---- covariance of the columns -------------------------------------------------------------- */

/* The matrix as the eigenproblem wants it. */
typedef struct unpacking {
    const double *triangle;
    int64_t cols;
    double *matrix;
} unpacking;

static void unpack_row(void *context, int64_t row, int32_t worker) {
    (void)worker;
    const unpacking *s = context;
    memcpy(s->matrix + row * (s->cols + 1), s->triangle + cl_triangle_row(s->cols, row),
           (size_t)(s->cols - row) * sizeof *s->matrix);
}

/* Solves for the rows that the moments have. */
static coulis_status finish(const coulis_moments *m, double components, coulis_pca **pca, coulis_error *error) {
    size_t cols = (size_t)m->cols;
    cl_sums sums;
    coulis_status status = cl_moments_total(m, &sums, error);
    if (status) return status;
    double *matrix = cl_alloc(cols, cols * sizeof *matrix);
    unpacking task = {.triangle = sums.triangle, .cols = m->cols, .matrix = matrix};
    if (matrix) cl_pool_run(m->pool, m->cols, unpack_row, &task);
    else status = cl_fail_memory(error, "the covariance matrix", cols * cols * sizeof *matrix);
    cl_free(sums.triangle);
    sums.triangle = NULL;
    cl_exact exact = {.rows = sums.rows,
                      .cols = m->cols,
                      .components = components,
                      .pool = m->pool,
                      .matrix = matrix,
                      .side = m->cols,
                      .mean = sums.mean};
    if (!status) status = cl_exact_solve(&exact, pca, error);
    cl_free(matrix);
    cl_sums_free(&sums);
    return status;
}

coulis_status coulis_moments_finish(const coulis_moments *m, const coulis_pca_options *options, coulis_pca **pca,
                                    coulis_error *error) {
    if (!m || !pca)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "moments_finish needs moments and a place for the model");
    coulis_pca_options wanted;
    coulis_status status = read_options(options, &wanted, error);
    if (!status) status = check_question(coulis_moments_rows(m), m->cols, wanted.components, error);
    if (status) return status;
    if (wanted.solver != COULIS_SOLVER_AUTO && wanted.solver != COULIS_SOLVER_COVARIANCE)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "moments can be solved by covariance alone");
    return cl_done(finish(m, wanted.components, pca, error), error);
}

static coulis_status fit_covariance(const cl_rows *rows, double components, cl_pool *pool, coulis_pca **pca,
                                    coulis_error *error) {
    coulis_moments *m;
    coulis_status status = cl_moments_create(rows->cols, 0, pool, &m, error);
    if (status) return status;
    /* A leaf at a time: what is read at once is not copied again. */
    float *buffer = NULL;
    if (!cl_rows_in_memory(rows)) {
        buffer = cl_alloc((size_t)cl_smaller(m->leaf, rows->rows), (size_t)rows->cols * sizeof *buffer);
        if (!buffer) status = cl_fail_memory(error, "rows", (size_t)(m->leaf * rows->cols) * sizeof *buffer);
    }
    for (int64_t first = 0; first < rows->rows && !status; first += m->leaf) {
        const float *x;
        int64_t count = cl_smaller(m->leaf, rows->rows - first);
        status = cl_rows_block(rows, first, count, buffer, &x, error);
        if (!status) status = coulis_moments_update(m, x, count, error);
        if (!status) status = cl_rows_progress(rows, first + count, rows->rows, error);
    }
    cl_free(buffer);
    if (!status) status = finish(m, components, pca, error);
    coulis_moments_free(m);
    return status;
}

/* ---- Gram matrix of the rows ------------------------------------------------------------------ */

static coulis_status fit_gram(const cl_rows *rows, double components, cl_pool *pool, coulis_pca **pca,
                              coulis_error *error) {
    size_t side = (size_t)rows->rows;
    cl_gram *gram;
    coulis_status status = cl_gram_open(rows, pool, &gram, error);
    if (status) return status;
    double *matrix = cl_alloc(side, side * sizeof *matrix);
    if (matrix) status = cl_gram_matrix(gram, matrix, error);
    else status = cl_fail_memory(error, "the Gram matrix", side * side * sizeof *matrix);
    cl_exact exact = {.rows = rows->rows,
                      .cols = rows->cols,
                      .components = components,
                      .pool = pool,
                      .matrix = matrix,
                      .side = rows->rows,
                      .mean = cl_gram_mean(gram),
                      .gram = gram};
    if (!status) status = cl_exact_solve(&exact, pca, error);
    cl_gram_close(gram);
    cl_free(matrix);
    return status;
}

/* ---- all ways ------------------------------------------------------------------------------------ */

coulis_status cl_pca_fit(const cl_rows *rows, const coulis_pca_options *options, cl_pool *pool, coulis_pca **pca,
                         coulis_error *error) {
    coulis_pca_options wanted;
    coulis_status status = read_options(options, &wanted, error);
    if (!status) status = check_question(rows->rows, rows->cols, wanted.components, error);
    if (!status) status = choose_solver(rows->rows, rows->cols, &wanted.solver, error);
    if (status) return status;
    if (wanted.solver == COULIS_SOLVER_GRAM) return fit_gram(rows, wanted.components, pool, pca, error);
    if (wanted.solver == COULIS_SOLVER_COVARIANCE) return fit_covariance(rows, wanted.components, pool, pca, error);
    return cl_krylov_fit(rows, NULL, wanted.components, pool, pca, error);
}

coulis_status coulis_pca_fit(const float *x, int64_t rows, int64_t cols, const coulis_pca_options *options,
                             coulis_pca **pca, coulis_error *error) {
    size_t elements;
    if (!x || !pca || rows < 0 || cols < 0)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "pca_fit needs a matrix and a place for the model");
    if (!cl_mul_size((size_t)rows, (size_t)cols, &elements) || elements > SIZE_MAX / 2 / sizeof *x)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%lld rows of %lld columns do not fit into memory",
                       (long long)rows, (long long)cols);
    coulis_pca_options wanted;
    cl_pool *pool;
    coulis_status status = read_options(options, &wanted, error);
    if (!status) status = cl_pool_create(wanted.threads, &pool, error);
    if (status) return status;
    cl_memory_rows memory;
    cl_rows source = cl_rows_of_memory(&memory, x, rows, cols);
    status = cl_pca_fit(&source, &wanted, pool, pca, error);
    cl_pool_free(pool);
    return cl_done(status, error);
}

coulis_status coulis_pca_fit_spans(const coulis_spans *spans, const coulis_pca_options *options, coulis_pca **pca,
                                   coulis_error *error) {
    coulis_spans given = {.size = sizeof given};
    coulis_status status = spans ? cl_sized_read(spans, "coulis_spans", &given, sizeof given, error) : COULIS_OK;
    if (status) return status;
    if (!pca || !given.statistics || !given.products || given.rows < 0 || given.cols < 0 || given.cols > INT32_MAX)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "pca_fit_spans needs rows and columns, two functions, and a place for the model");
    coulis_pca_options wanted;
    status = read_options(options, &wanted, error);
    if (!status) status = check_question(given.rows, given.cols, wanted.components, error);
    if (status) return status;
    if (wanted.solver != COULIS_SOLVER_AUTO && wanted.solver != COULIS_SOLVER_RANDOMIZED)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "spans can be solved by randomized alone");
    cl_pool *pool;
    status = cl_pool_create(wanted.threads, &pool, error);
    if (status) return status;
    status = cl_krylov_fit(NULL, &given, wanted.components, pool, pca, error);
    cl_pool_free(pool);
    return cl_done(status, error);
}
