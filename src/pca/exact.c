#include "pca/exact.h"

#include "pca/basis.h"
#include "pca/covariance.h"
#include "pca/model.h"
#include "pca/solver.h"
#include "pca/tail.h"

/* The number of components to keep, from the question and, for a share, all eigenvalues. */
static coulis_status choose_count(const cl_exact *s, const cl_eigen *eigen, double total, int64_t *count,
                                  coulis_error *error) {
    *count = s->components == 0 ? cl_smaller(s->rows, s->cols) : (int64_t)s->components;
    if (s->components >= 1 || s->components == 0) return COULIS_OK;
    *count = 1; /* all rows equal: one is as good as any */
    if (!(total > 0)) return COULIS_OK;
    double *values = cl_alloc((size_t)s->side, sizeof *values);
    if (!values) return cl_fail_memory(error, "eigenvalues", (size_t)s->side * sizeof *values);
    coulis_status status = cl_eigen_values(eigen, values, error);
    for (int64_t i = 0; i < s->side && !status; i++)
        if (values[i] < 0) values[i] = 0;
    if (!status) *count = cl_count_for_share(values, cl_smaller(s->rows, s->cols), total, s->components);
    cl_free(values);
    return status;
}

/* The components of an eigenproblem of the rows: found by way of the rows, then made to be at right angles, as
 * far as there are any; the rest is filled in. */
static coulis_status fill_from_rows(const cl_exact *s, const double *vectors, coulis_pca *pca, coulis_error *error) {
    int64_t begin = cl_tail_begin(pca->variance, pca->count), sound = 0;
    double *squares = cl_alloc((size_t)pca->count, sizeof *squares);
    if (!squares) return cl_fail_memory(error, "the components", (size_t)pca->count * sizeof *squares);
    coulis_status status = cl_gram_components(s->gram, pca->count, vectors, pca->components, squares, error);
    if (!status) status = cl_tail_settle(pca, begin, squares + begin, error);
    cl_free(squares);
    while (sound < pca->count && pca->variance[sound] > 0) sound++;
    if (!status) status = cl_orthonormalise(s->pool, &sound, pca->cols, pca->components, error);
    for (int64_t i = sound; i < pca->count; i++) pca->variance[i] = 0;
    return status ? status : cl_complete_basis(sound, pca->count, pca->cols, pca->components, error);
}

/* The components of an eigenproblem of the columns, which are its vectors. */
static void fill_from_columns(const double *vectors, coulis_pca *pca) {
    for (int64_t i = 0; i < pca->count * pca->cols; i++) pca->components[i] = (float)vectors[i];
    double zero = pca->cols <= CL_COVARIANCE_DOUBLE ? CL_COVARIANCE_ZERO_DOUBLE : CL_COVARIANCE_ZERO;
    for (int64_t i = 0; i < pca->count; i++)
        if (!(pca->variance[i] > zero * pca->variance[0])) pca->variance[i] = 0;
}

coulis_status cl_exact_solve(const cl_exact *s, coulis_pca **pca, coulis_error *error) {
    cl_eigen eigen;
    coulis_pca *made = NULL;
    double *vectors = NULL, total = 0;
    int64_t count;
    for (int64_t i = 0; i < s->side; i++) total += s->matrix[i * s->side + i];
    coulis_status status = cl_eigen_open(&eigen, s->matrix, s->side, s->pool, error);
    if (status) return status;
    status = choose_count(s, &eigen, total, &count, error);
    if (!status) status = cl_pca_alloc(count, s->cols, &made, error);
    if (!status && !(vectors = cl_alloc((size_t)count, (size_t)s->side * sizeof *vectors)))
        status = cl_fail_memory(error, "eigenvectors", (size_t)(count * s->side) * sizeof *vectors);
    if (!status) status = cl_eigen_vectors(&eigen, count, made->variance, vectors, error);
    cl_eigen_close(&eigen);
    if (!status) {
        made->solver = s->gram ? COULIS_SOLVER_GRAM : COULIS_SOLVER_COVARIANCE;
        memcpy(made->mean, s->mean, (size_t)s->cols * sizeof *made->mean);
        if (s->gram) status = fill_from_rows(s, vectors, made, error);
        else fill_from_columns(vectors, made);
    }
    cl_free(vectors);
    if (!status) cl_pca_finish(s->pool, made, s->rows, total);
    if (status) coulis_pca_free(made);
    else *pca = made;
    return status;
}
