#include "pca/tridiagonal.h"

#include <stdatomic.h>

#include "base/sync.h"
#include "pca/kernels/kernels.h"

/* Sweep s clears column s below the first number beside the diagonal. Its step t reflects rows and columns
 * s+1+tB .. s+(t+1)B, which fills the block below them; the next step's reflector clears the first column of that
 * block, and leaves the rest to the sweeps after it (Schwarz, Tridiagonalization of a symmetric band matrix, 1968;
 * Lang, A parallel algorithm for reducing symmetric banded matrices to tridiagonal form, 1993).
 *
 * Step t of a sweep touches what step t + 1 of the sweep before has left, and nothing that its later steps need: so
 * sweeps run at the same time, each behind the one before. The arithmetic of a step does not depend on when it runs. */

#define B CL_PANEL
/* Sweeps that one worker takes through the band together, so that what one has touched is still in the cache for
 * the next: 2 * SWEEPS blocks of 24 KiB. */
#define SWEEPS 4
/* Sweeps whose reflectors are applied to the same rows of vectors before the next rows are taken: 16 KiB of them. */
#define GROUP 32
/* Looks at another worker's progress before this one lets others run. */
#define PATIENCE 1000

typedef struct chase {
    const cl_pca_kernels *kernels;
    int64_t n;
    double *band, *matrix;
    _Atomic int64_t *done; /* per group: steps of its last sweep */
} chase;

static int64_t steps_of(int64_t n, int64_t sweep) { return (n - 1 - sweep + B - 1) / B; }

static double *element(const chase *s, int64_t i, int64_t c) { return s->band + B + i + c * CL_BAND_STRIDE; }

/* The place of step t's reflector: rows from the last on, as the first sweeps have the longest. */
static double *place_of(double *matrix, int64_t n, int64_t sweep, int64_t t) {
    return matrix + (n - 1 - sweep) * n + t * B;
}

static void keep_reflector(const chase *s, int64_t sweep, int64_t t, const double *v, double tau) {
    double *place = place_of(s->matrix, s->n, sweep, t);
    memcpy(place, v, (size_t)cl_smaller(B, s->n - 1 - sweep - t * B) * sizeof *v);
    place[0] = tau;
}

static void step(const chase *s, int64_t sweep, int64_t t, double *v, double *tau) {
    int64_t first = sweep + 1 + t * B;
    if (t == 0) {
        double *column = element(s, first, sweep), beta;
        memcpy(v, column, B * sizeof *v);
        *tau = s->kernels->reflector(v, &beta);
        memset(column, 0, B * sizeof *v);
        column[0] = beta;
        keep_reflector(s, sweep, 0, v, *tau);
    }
    double next[B];
    *tau = s->kernels->chase(element(s, first, first), v, *tau, next);
    memcpy(v, next, sizeof next);
    if (first + B < s->n) keep_reflector(s, sweep, t + 1, v, *tau);
}

static void run_group(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const chase *s = context;
    int64_t first = piece * SWEEPS, sweeps = cl_smaller(SWEEPS, s->n - 2 - first);
    double v[SWEEPS][B], taus[SWEEPS];
    for (int64_t time = 0; time < steps_of(s->n, first) + 2 * (sweeps - 1); time++) {
        for (int64_t i = 0; i < sweeps; i++) {
            int64_t t = time - 2 * i;
            if (t < 0 || t >= steps_of(s->n, first + i)) continue;
            if (i == 0 && piece > 0) {
                int64_t needed = cl_smaller(t + 2, steps_of(s->n, first - 1));
                for (int looks = 0; atomic_load_explicit(&s->done[piece - 1], memory_order_acquire) < needed; looks++)
                    if (looks > PATIENCE) cl_thread_yield();
            }
            step(s, first + i, t, v[i], &taus[i]);
            if (i == sweeps - 1) atomic_store_explicit(&s->done[piece], t + 1, memory_order_release);
        }
    }
}

coulis_status cl_tridiagonal_reduce(cl_pool *pool, int64_t n, double *band, double *matrix, double *diagonal,
                                    double *beside, coulis_error *error) {
    int64_t groups = n > 2 ? (n - 2 + SWEEPS - 1) / SWEEPS : 0;
    chase s = {.kernels = cl_pca_kernels_get(),
               .n = n,
               .band = band,
               .matrix = matrix,
               .done = cl_alloc_zero((size_t)groups, sizeof *s.done)};
    if (!s.done) return cl_fail_memory(error, "the eigenproblem", (size_t)groups * sizeof *s.done);
    /* Groups are begun in order, so the one that is waited for is always at work. */
    cl_pool_run(pool, groups, run_group, &s);
    cl_free(s.done);
    for (int64_t c = 0; c < n; c++) {
        diagonal[c] = *element(&s, c, c);
        if (c + 1 < n) beside[c] = *element(&s, c + 1, c);
    }
    return COULIS_OK;
}

void cl_tridiagonal_turn_back(int64_t n, const double *matrix, double *z) {
    const cl_pca_kernels *kernels = cl_pca_kernels_get();
    for (int64_t first = (n - 3) / GROUP * GROUP; n > 2 && first >= 0; first -= GROUP)
        for (int64_t t = 0; t < steps_of(n, first); t++)
            for (int64_t sweep = cl_smaller(first + GROUP, n - 2) - 1; sweep >= first; sweep--) {
                int64_t row = sweep + 1 + t * B;
                if (row < n)
                    kernels->reflect(cl_smaller(B, n - row), matrix + (n - 1 - sweep) * n + t * B, z + row * B);
            }
}
