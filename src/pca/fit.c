#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "pca/basis.h"
#include "pca/covariance.h"
#include "pca/gram.h"
#include "pca/model.h"
#include "pca/pca.h"
#include "pca/solver.h"
#include "pca/source.h"
#include "pca/tail.h"

/* The matrix whose eigenvectors are sought is min(rows, cols) numbers wide and lies in memory: 2 GiB. */
#define SIDE_MAX 16384
/* One fit under way. */
typedef struct fit {
    const cl_rows *rows;
    cl_pool *pool;
    int64_t side;     /* of the matrix: min(rows, cols) */
    double components; /* as asked */
    double *matrix;   /* side x side */
    double *mean;     /* cols; in the model once there is one */
    cl_gram *gram;    /* NULL when the matrix is the covariance */
    double total;     /* trace of the matrix */
} fit;

static coulis_status check(const cl_rows *rows, double components, coulis_error *error) {
    int64_t side = rows->rows < rows->cols ? rows->rows : rows->cols;
    if (rows->cols < 1)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "PCA needs vectors of at least one number");
    if (rows->rows < 2)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "PCA needs at least two pictures with a vector, and there %s %lld",
                       rows->rows == 1 ? "is" : "are", (long long)rows->rows);
    if (!(components >= 0) || (components >= 1 && floor(components) != components))
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "components must be a whole number, or a share between 0 and 1, not %g", components);
    if (components > (double)side)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "%.0f components asked for, but %lld rows of %lld columns have at most %lld", components,
                       (long long)rows->rows, (long long)rows->cols, (long long)side);
    if (side > SIDE_MAX)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "PCA of %lld rows and %lld columns is too large: the smaller of the two may be at most %d",
                       (long long)rows->rows, (long long)rows->cols, SIDE_MAX);
    return COULIS_OK;
}

/* How many components explain more than `share`: scikit-learn's rule, the place where the share would be
 * inserted into the running sums, to the right of equals. */
static int64_t count_for_share(const double *values, int64_t side, double total, double share) {
    double sum = 0;
    for (int64_t i = 0; i < side; i++) {
        sum += values[i] / total;
        if (sum > share) return i + 1;
    }
    return side;
}

/* Fills fit->matrix and fit->total. */
static coulis_status make_matrix(fit *f, coulis_error *error) {
    size_t side = (size_t)f->side;
    f->matrix = cl_alloc(side, side * sizeof *f->matrix);
    if (!f->matrix) return cl_fail_memory(error, "the covariance matrix", side * side * sizeof *f->matrix);
    coulis_status status;
    if (f->gram) status = cl_gram_matrix(f->gram, f->matrix, error);
    else status = cl_covariance(f->rows, f->pool, f->mean, f->matrix, error);
    f->total = 0;
    for (size_t i = 0; i < side && !status; i++) f->total += f->matrix[i * side + i];
    return status;
}

/* The number of components to keep, from the question and, for a share, all eigenvalues. */
static coulis_status choose_count(const fit *f, const cl_eigen *eigen, int64_t *count, coulis_error *error) {
    *count = f->components == 0 ? f->side : (int64_t)f->components;
    if (f->components >= 1 || f->components == 0) return COULIS_OK;
    double *values = cl_alloc((size_t)f->side, sizeof *values);
    if (!values) return cl_fail_memory(error, "eigenvalues", (size_t)f->side * sizeof *values);
    coulis_status status = cl_eigen_values(eigen, values, error);
    for (int64_t i = 0; i < f->side && !status; i++)
        if (values[i] < 0) values[i] = 0;
    if (!status) *count = count_for_share(values, f->side, f->total, f->components);
    cl_free(values);
    return status;
}

/* scikit-learn's rule: the element largest in absolute value, the first of equals, is positive. */
static void turn_signs(coulis_pca *pca) {
    for (int64_t i = 0; i < pca->count; i++) {
        float *row = pca->components + i * pca->cols;
        int64_t largest = 0;
        for (int64_t c = 1; c < pca->cols; c++)
            if (fabsf(row[c]) > fabsf(row[largest])) largest = c;
        for (int64_t c = 0; c < pca->cols && row[largest] < 0; c++)
            if (c != largest) row[c] = -row[c];
        row[largest] = fabsf(row[largest]);
    }
}

/* The components of an eigenproblem of the rows: found by way of the rows, then made to be at right angles, as
 * far as there are any; the rest is filled in. */
static coulis_status fill_from_rows(const fit *f, const double *vectors, double *squares, coulis_pca *pca,
                                    coulis_error *error) {
    int64_t begin = cl_tail_begin(pca->variance, pca->count), sound = 0;
    coulis_status status = cl_gram_components(f->gram, pca->count, vectors, pca->components, squares, error);
    if (!status) status = cl_tail_settle(pca, begin, squares + begin, error);
    while (sound < pca->count && pca->variance[sound] > 0) sound++;
    if (!status) status = cl_orthonormalise(f->pool, &sound, pca->cols, pca->components, error);
    for (int64_t i = sound; i < pca->count; i++) pca->variance[i] = 0;
    return status ? status : cl_complete_basis(sound, pca->count, pca->cols, pca->components, error);
}

/* The components of an eigenproblem of the columns, which are its vectors. */
static coulis_status fill_from_columns(const fit *f, const double *vectors, double *squares, coulis_pca *pca,
                                       coulis_error *error) {
    int64_t begin = cl_tail_begin(pca->variance, pca->count);
    for (int64_t i = 0; i < pca->count * pca->cols; i++) pca->components[i] = (float)vectors[i];
    coulis_status status = cl_tail_measure(f->rows, f->pool, pca, begin, squares, error);
    return status ? status : cl_tail_settle(pca, begin, squares, error);
}

/* Fills the model; its variances are the eigenvalues of the matrix at first. */
static coulis_status fill(const fit *f, const double *vectors, coulis_pca *pca, coulis_error *error) {
    double divisor = (double)(f->rows->rows - 1);
    double *squares = cl_alloc((size_t)pca->count, sizeof *squares);
    if (!squares) return cl_fail_memory(error, "the components", (size_t)pca->count * sizeof *squares);
    pca->samples = f->rows->rows;
    pca->total_variance = f->total / divisor;
    memcpy(pca->mean, f->mean, (size_t)pca->cols * sizeof *pca->mean);
    coulis_status status = f->gram ? fill_from_rows(f, vectors, squares, pca, error)
                                   : fill_from_columns(f, vectors, squares, pca, error);
    cl_free(squares);
    for (int64_t i = 0; i < pca->count && !status; i++) {
        pca->ratio[i] = f->total > 0 ? pca->variance[i] / f->total : 0;
        pca->variance[i] /= divisor;
    }
    if (!status) turn_signs(pca);
    return status;
}

static coulis_status solve(const fit *f, coulis_pca **pca, coulis_error *error) {
    cl_eigen eigen;
    coulis_pca *made = NULL;
    double *vectors = NULL;
    int64_t count = 1; /* all rows equal: one is as good as any */
    coulis_status status = cl_eigen_open(&eigen, f->matrix, f->side, f->pool, error);
    if (status) return status;
    if (f->total > 0 || f->components == 0 || f->components >= 1) status = choose_count(f, &eigen, &count, error);
    if (!status) status = cl_pca_alloc(count, f->rows->cols, &made, error);
    if (!status && !(vectors = cl_alloc((size_t)count, (size_t)f->side * sizeof *vectors)))
        status = cl_fail_memory(error, "eigenvectors", (size_t)(count * f->side) * sizeof *vectors);
    if (!status) status = cl_eigen_vectors(&eigen, count, made->variance, vectors, error);
    if (!status) status = fill(f, vectors, made, error);
    cl_eigen_close(&eigen);
    cl_free(vectors);
    if (status) coulis_pca_free(made);
    else *pca = made;
    return status;
}

coulis_status cl_pca_fit(const cl_rows *rows, double components, cl_pool *pool, coulis_pca **pca,
                         coulis_error *error) {
    coulis_status status = check(rows, components, error);
    if (status) return status;
    fit f = {.rows = rows, .pool = pool, .components = components,
             .side = rows->rows < rows->cols ? rows->rows : rows->cols};
    if (!(f.mean = cl_alloc((size_t)rows->cols, sizeof *f.mean)))
        return cl_fail_memory(error, "the mean", (size_t)rows->cols * sizeof *f.mean);
    if (rows->rows < rows->cols) status = cl_gram_open(rows, pool, &f.gram, error);
    if (!status && f.gram) memcpy(f.mean, cl_gram_mean(f.gram), (size_t)rows->cols * sizeof *f.mean);
    if (!status) status = make_matrix(&f, error);
    if (!status) status = solve(&f, pca, error);
    cl_gram_close(f.gram);
    cl_free(f.matrix);
    cl_free(f.mean);
    return status;
}

void coulis_pca_options_init(coulis_pca_options *options) {
    *options = (coulis_pca_options){.size = sizeof *options, .solver = COULIS_SOLVER_AUTO};
}

coulis_status coulis_pca_fit(const float *x, int64_t rows, int64_t cols, const coulis_pca_options *options,
                             coulis_pca **pca, coulis_error *error) {
    size_t elements;
    if (!x || !pca || rows < 0 || cols < 0)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "pca_fit wants a matrix and a place for the model");
    if (!cl_mul_size((size_t)rows, (size_t)cols, &elements) || elements > SIZE_MAX / 2 / sizeof *x)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%lld rows of %lld columns fit no memory", (long long)rows,
                       (long long)cols);
    cl_pool *pool;
    coulis_status status = cl_pool_create(options ? options->threads : 0, &pool, error);
    if (status) return status;
    cl_memory_rows memory;
    cl_rows source = cl_rows_of_memory(&memory, x, rows, cols);
    status = cl_pca_fit(&source, options ? options->components : 0, pool, pca, error);
    cl_pool_free(pool);
    return status;
}

int32_t coulis_pca_solver(const coulis_pca *pca) { return (void)pca, COULIS_SOLVER_AUTO; }
double coulis_pca_error_bound(const coulis_pca *pca) { return (void)pca, 0; }
