#include "pca/solver.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdatomic.h>

#include "base/sync.h"
#include "pca/band.h"
#include "pca/kernels/kernels.h"
#include "pca/tridiagonal.h"

/* OpenBLAS shares its work out over its own threads, and the last bits of its sums depend on how
 * many there are. The number belongs to the process, so callers take turns. */
static cl_mutex turn = CL_MUTEX_INIT;

/* The process that `turn` belongs to, negative while it is made anew: a thread may have had it when this process was
 * forked, and nobody here would give it back. */
static _Atomic int64_t turn_process;

static void own_turn(void) {
    const int64_t self = cl_process();
    int64_t before = atomic_load(&turn_process);
    while (before != self) {
        if (before != -self && atomic_compare_exchange_strong(&turn_process, &before, -self)) {
            if (before != 0) cl_mutex_init(&turn);
            atomic_store(&turn_process, self);
            return;
        }
        before = atomic_load(&turn_process);
    }
}

static int begin_one_thread(void) {
    own_turn();
    cl_mutex_lock(&turn);
    int threads = openblas_get_num_threads();
    openblas_set_num_threads(1);
    return threads;
}

static void end_one_thread(int threads) {
    openblas_set_num_threads(threads);
    cl_mutex_unlock(&turn);
}

static coulis_status outcome(lapack_int info, const char *routine, int64_t n, coulis_error *error) {
    if (info == 0) return COULIS_OK;
    if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
        return cl_fail_memory(error, "LAPACK", (size_t)n * 64 * sizeof(double));
    return cl_fail(error, COULIS_NUMERIC, "LAPACK's %s found no solution for a matrix of %lld rows (info %lld)",
                   routine, (long long)n, (long long)info);
}

/* The largest absolute value of a row, from the diagonal on. */
typedef struct scaling {
    int64_t n;
    double *matrix, *largest, factor;
} scaling;

static void measure_row(void *context, int64_t row, int32_t worker) {
    (void)worker;
    const scaling *s = context;
    double largest = 0;
    for (int64_t c = row; c < s->n; c++) {
        double size = fabs(s->matrix[row * s->n + c]);
        largest = size > largest ? size : largest;
    }
    s->largest[row] = largest;
}

static void scale_row(void *context, int64_t row, int32_t worker) {
    (void)worker;
    const scaling *s = context;
    for (int64_t c = row; c < s->n; c++) s->matrix[row * s->n + c] *= s->factor;
}

/* Brings the largest element to 1/2 .. 1 by a power of two, so that no square overflows. */
static void scale(cl_eigen *eigen) {
    double *largest = eigen->diagonal; /* not in use yet */
    scaling s = {.n = eigen->n, .matrix = eigen->matrix, .largest = largest};
    cl_pool_run(eigen->pool, eigen->n, measure_row, &s);
    for (int64_t i = 1; i < eigen->n; i++) largest[0] = fmax(largest[0], largest[i]);
    frexp(largest[0], &eigen->exponent);
    if (eigen->exponent < -1000) eigen->exponent = -1000; /* 2^1000 is a double, 2^1074 is none */
    s.factor = ldexp(1, -eigen->exponent);
    cl_pool_run(eigen->pool, eigen->n, scale_row, &s);
}

coulis_status cl_eigen_open(cl_eigen *eigen, double *matrix, int64_t n, cl_pool *pool, coulis_error *error) {
    size_t bytes = (size_t)n * sizeof(double), band_bytes = (size_t)cl_band_size(n) * sizeof(double);
    *eigen = (cl_eigen){.n = n,
                        .pool = pool,
                        .matrix = matrix,
                        .diagonal = cl_alloc(bytes, 1),
                        .beside = cl_alloc(bytes, 1),
                        .triangles = cl_alloc((size_t)cl_band_triangles_size(n), sizeof(double))};
    double *band = cl_alloc(band_bytes, 1);
    coulis_status status = COULIS_OK;
    if (!eigen->diagonal || !eigen->beside || !eigen->triangles || !band) {
        status = cl_fail_memory(error, "the eigenproblem", band_bytes + (CL_PANEL + 2) * bytes);
    } else {
        scale(eigen);
        status = cl_band_reduce(pool, n, matrix, eigen->triangles, band, error);
        if (!status) status = cl_tridiagonal_reduce(pool, n, band, matrix, eigen->diagonal, eigen->beside, error);
    }
    cl_free(band);
    if (status) cl_eigen_close(eigen);
    return status;
}

void cl_eigen_close(cl_eigen *eigen) {
    cl_free(eigen->diagonal);
    cl_free(eigen->beside);
    cl_free(eigen->triangles);
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
    for (size_t i = 0; i < n; i++) values[i] = ldexp(values[i], eigen->exponent);
    return outcome(info, "dsterf", eigen->n, error);
}

typedef struct turning {
    const cl_eigen *eigen;
    int64_t count;
    double *vectors;
    double *panels; /* per worker: two of n x CL_PANEL */
} turning;

/* A panel of vectors of the tridiagonal matrix becomes one of the matrix's own. */
static void turn_back(void *context, int64_t piece, int32_t worker) {
    const turning *s = context;
    int64_t n = s->eigen->n, begin = piece * CL_PANEL;
    int64_t width = s->count - begin < CL_PANEL ? s->count - begin : CL_PANEL;
    double *panel = s->panels + worker * 2 * n * CL_PANEL, *vectors = s->vectors + begin * n;
    memset(panel, 0, (size_t)(n * CL_PANEL) * sizeof *panel);
    for (int64_t i = 0; i < width; i++)
        for (int64_t r = 0; r < n; r++) panel[r * CL_PANEL + i] = vectors[i * n + r];
    cl_tridiagonal_turn_back(n, s->eigen->matrix, panel);
    cl_band_turn_back(n, s->eigen->matrix, s->eigen->triangles, panel + n * CL_PANEL, panel);
    for (int64_t i = 0; i < width; i++)
        for (int64_t r = 0; r < n; r++) vectors[i * n + r] = panel[r * CL_PANEL + i];
}

/* ---- vectors of the tridiagonal matrix ---- */

/* dstemr runs on one thread and takes a fifth of a fit. So what is asked for is cut into sections, of at least so many
 * vectors, that are solved at the same time. Vectors of one section are at right angles as dstemr makes them; those of
 * two are by the gap between their eigenvalues: roundings divided by it. A cut is made in the widest gap near the place
 * where it should be, and only if that is wide enough for the float32 that components are. */
#define SECTIONS 4
#define SECTION_VECTORS 64
#define GAP 0x1p-18 /* of the largest eigenvalue */

typedef struct section {
    int64_t first, count; /* of the vectors that are asked for, the smallest eigenvalue's first */
    lapack_int info, found;
} section;

typedef struct sections {
    const cl_eigen *eigen;
    int64_t asked, count;
    section all[SECTIONS];
    double *vectors, *ascending; /* of what is asked for */
    double *numbers;             /* of each section: 3 n */
    lapack_int *support;         /* two of each vector */
} sections;

/* The place of a cut near `wanted`, at or after which a section begins; 0: there is none. `values`: largest first. */
static int64_t find_cut(const double *values, int64_t n, int64_t count, int64_t wanted, int64_t reach) {
    double widest = GAP * fmax(fabs(values[0]), fabs(values[n - 1]));
    int64_t cut = 0;
    for (int64_t i = wanted - reach; i <= wanted + reach; i++) {
        const double gap = values[count - 1 - i] - values[count - i];
        if (!(gap > widest)) continue;
        widest = gap;
        cut = i;
    }
    return cut;
}

static void cut_sections(sections *s, const double *values) {
    const int64_t most = cl_smaller(SECTIONS, s->asked / SECTION_VECTORS);
    s->count = 1;
    for (int64_t k = 1; k < most; k++) {
        const int64_t cut = find_cut(values, s->eigen->n, s->asked, s->asked * k / most, s->asked / most / 4);
        if (cut > 0) s->all[s->count++].first = cut;
    }
    for (int64_t k = 0; k < s->count; k++)
        s->all[k].count = (k + 1 < s->count ? s->all[k + 1].first : s->asked) - s->all[k].first;
}

static void solve_section(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    sections *s = context;
    section *own = &s->all[piece];
    const int64_t n = s->eigen->n, before = n - s->asked + own->first;
    double *diagonal = s->numbers + 3 * n * piece, *beside = diagonal + n, *values = beside + n;
    memcpy(diagonal, s->eigen->diagonal, (size_t)n * sizeof *diagonal); /* dstemr overwrites them */
    memcpy(beside, s->eigen->beside, (size_t)n * sizeof *beside);
    lapack_logical accurate = 1;
    own->info = LAPACKE_dstemr(LAPACK_COL_MAJOR, 'V', 'I', (lapack_int)n, diagonal, beside, 0.0, 0.0,
                               (lapack_int)before + 1, (lapack_int)(before + own->count), &own->found, values,
                               s->vectors + own->first * n, (lapack_int)n, (lapack_int)own->count,
                               s->support + 2 * own->first, &accurate);
    if (own->info == 0 && own->found != (lapack_int)own->count) own->info = -1;
    if (own->info == 0) memcpy(s->ascending + own->first, values, (size_t)own->count * sizeof *values);
}

/* `ascending`: room for n. */
static coulis_status solve_tridiagonal(const cl_eigen *eigen, int64_t count, double *ascending, double *vectors,
                                       coulis_error *error) {
    const size_t n = (size_t)eigen->n;
    sections s = {.eigen = eigen,
                  .asked = count,
                  .vectors = vectors,
                  .ascending = ascending,
                  .numbers = cl_alloc(n, SECTIONS * 3 * sizeof *s.numbers),
                  .support = cl_alloc((size_t)count, 2 * sizeof *s.support)};
    coulis_status status = COULIS_OK;
    if (!s.numbers || !s.support) status = cl_fail_memory(error, "eigenvectors", n * SECTIONS * 3 * sizeof *s.numbers);
    if (!status && count >= 2 * SECTION_VECTORS) status = cl_eigen_values(eigen, ascending, error);
    if (!status) {
        cut_sections(&s, ascending);
        int threads = begin_one_thread();
        cl_pool_run(eigen->pool, s.count, solve_section, &s);
        end_one_thread(threads);
    }
    for (int64_t k = 0; k < s.count && !status; k++) status = outcome(s.all[k].info, "dstemr", eigen->n, error);
    cl_free(s.numbers);
    cl_free(s.support);
    return status;
}

coulis_status cl_eigen_vectors(const cl_eigen *eigen, int64_t count, double *values, double *vectors,
                               coulis_error *error) {
    size_t n = (size_t)eigen->n, wanted = (size_t)count;
    size_t panel_bytes = n * CL_PANEL * sizeof(double) * 2 * (size_t)cl_pool_threads(eigen->pool);
    double *ascending = cl_alloc(n, sizeof *ascending), *panels = cl_alloc(panel_bytes, 1);
    coulis_status status = COULIS_OK;
    if (!ascending || !panels) status = cl_fail_memory(error, "eigenvectors", panel_bytes);
    else status = solve_tridiagonal(eigen, count, ascending, vectors, error);
    if (!status) {
        turning s = {.eigen = eigen, .count = count, .vectors = vectors, .panels = panels};
        cl_pool_run(eigen->pool, (count + CL_PANEL - 1) / CL_PANEL, turn_back, &s);
    }
    /* dstemr gives the smallest first. */
    for (size_t i = 0; i < wanted && !status; i++) values[i] = ldexp(ascending[wanted - 1 - i], eigen->exponent);
    for (size_t i = 0; i < wanted / 2 && !status; i++) {
        double *low = vectors + i * n, *high = vectors + (wanted - 1 - i) * n;
        for (size_t r = 0; r < n; r++) {
            double value = low[r];
            low[r] = high[r];
            high[r] = value;
        }
    }
    cl_free(ascending);
    cl_free(panels);
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
