#include "pca/solver.h"

#include <cblas.h>
#include <lapacke.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* OpenBLAS shares its work out over its own threads, and the last bits of its sums depend on how
 * many there are. The number belongs to the process, so callers take turns. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static int begin_one_thread(void) {
    pthread_mutex_lock(&turn);
    int threads = openblas_get_num_threads();
    openblas_set_num_threads(1);
    return threads;
}

static void end_one_thread(int threads) {
    openblas_set_num_threads(threads);
    pthread_mutex_unlock(&turn);
}

static coulis_status outcome(lapack_int info, const char *routine, int64_t n, coulis_error *error) {
    if (info == 0) return COULIS_OK;
    if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
        return cl_fail_memory(error, "LAPACK", (size_t)n * 64 * sizeof(double));
    return cl_fail(error, COULIS_NUMERIC, "LAPACK's %s found no solution for a matrix of %lld rows (info %lld)",
                   routine, (long long)n, (long long)info);
}

coulis_status cl_eigen_open(cl_eigen *eigen, double *matrix, int64_t n, cl_pool *pool, coulis_error *error) {
    size_t bytes = (size_t)n * sizeof(double);
    *eigen = (cl_eigen){n, pool, matrix, cl_alloc(bytes, 1), cl_alloc(bytes, 1), cl_alloc(bytes, 1)};
    coulis_status status = COULIS_OK;
    if (!eigen->diagonal || !eigen->beside || !eigen->tau) {
        status = cl_fail_memory(error, "the eigenproblem", 3 * bytes);
    } else {
        /* The upper triangle by rows is the lower one by columns, which LAPACK reduces faster. */
        lapack_int size = (lapack_int)n;
        int threads = begin_one_thread();
        lapack_int info = LAPACKE_dsytrd(LAPACK_COL_MAJOR, 'L', size, matrix, size, eigen->diagonal, eigen->beside,
                                         eigen->tau);
        end_one_thread(threads);
        status = outcome(info, "dsytrd", n, error);
    }
    if (status) cl_eigen_close(eigen);
    return status;
}

void cl_eigen_close(cl_eigen *eigen) {
    cl_free(eigen->diagonal);
    cl_free(eigen->beside);
    cl_free(eigen->tau);
    *eigen = (cl_eigen){0};
}

coulis_status cl_eigen_values(const cl_eigen *eigen, double *values, coulis_error *error) {
    size_t n = (size_t)eigen->n;
    double *beside = cl_alloc(n, sizeof *beside);
    if (!beside) return cl_fail_memory(error, "the eigenproblem", n * sizeof *beside);
    memcpy(values, eigen->diagonal, n * sizeof *values);
    if (n > 1) memcpy(beside, eigen->beside, (n - 1) * sizeof *beside);
    int threads = begin_one_thread();
    lapack_int info = LAPACKE_dsterf((lapack_int)n, values, beside);
    end_one_thread(threads);
    cl_free(beside);
    for (size_t i = 0; i < n / 2; i++) {
        double low = values[i];
        values[i] = values[n - 1 - i];
        values[n - 1 - i] = low;
    }
    return outcome(info, "dsterf", eigen->n, error);
}

coulis_status cl_eigen_vectors(cl_eigen *eigen, int64_t count, double *values, double *vectors, coulis_error *error) {
    size_t n = (size_t)eigen->n, wanted = (size_t)count;
    lapack_int size = (lapack_int)n, found = 0;
    /* dstemr gives the smallest first; they are turned round on the way out. */
    double *ascending = cl_alloc(n, sizeof *ascending);
    double *z = cl_alloc(wanted, n * sizeof *z);
    lapack_int *support = cl_alloc(wanted, 2 * sizeof *support);
    coulis_status status = COULIS_OK;
    if (!ascending || !z || !support) {
        status = cl_fail_memory(error, "eigenvectors", (wanted + 1) * n * sizeof *z);
    } else {
        lapack_logical accurate = 1;
        int threads = begin_one_thread();
        lapack_int info = LAPACKE_dstemr(LAPACK_COL_MAJOR, 'V', 'I', size, eigen->diagonal, eigen->beside, 0.0, 0.0,
                                         size - (lapack_int)count + 1, size, &found, ascending, z, size,
                                         (lapack_int)count, support, &accurate);
        if (info == 0 && found != (lapack_int)count) info = -1;
        status = outcome(info, "dstemr", eigen->n, error);
        if (!status) {
            info = LAPACKE_dormtr(LAPACK_COL_MAJOR, 'L', 'L', 'N', size, (lapack_int)count, eigen->matrix, size,
                                  eigen->tau, z, size);
            status = outcome(info, "dormtr", eigen->n, error);
        }
        end_one_thread(threads);
    }
    for (size_t i = 0; i < wanted && !status; i++) {
        values[i] = ascending[wanted - 1 - i];
        memcpy(vectors + i * n, z + (wanted - 1 - i) * n, n * sizeof *z);
    }
    cl_free(ascending);
    cl_free(z);
    cl_free(support);
    return status;
}

int64_t cl_invert_cholesky(double *matrix, int64_t n, double least) {
    lapack_int size = (lapack_int)n, done = 0;
    int threads = begin_one_thread();
    lapack_int info = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', size, matrix, size);
    if (info > 0) size = info - 1; /* the rows before are factorised */
    while (done < size && info >= 0 && matrix[done * n + done] >= least) done++;
    if (done > 0) LAPACKE_dtrtri(LAPACK_COL_MAJOR, 'L', 'N', done, matrix, (lapack_int)n);
    end_one_thread(threads);
    return done;
}
