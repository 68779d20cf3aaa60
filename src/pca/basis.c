#include "pca/basis.h"

#include <math.h>

#include "pca/kernels/kernels.h"
#include "pca/solver.h"

#define TILE 48
#define RUN 1024
#define STRIPE 128
/* Below this the products of different rows are what the rounding of floats makes them. */
#define GOOD 1e-6
/* A row of length 1 is given up when less of it is outside the span of those before it. */
#define OUTSIDE 0.1

double cl_row_product(const float *a, const float *b, int64_t cols) {
    double sums[8] = {0}; /* several, so that they can be added side by side */
    int64_t c = 0;
    for (; c + 8 <= cols; c += 8)
        for (int i = 0; i < 8; i++) sums[i] += (double)a[c + i] * (double)b[c + i];
    for (; c < cols; c++) sums[0] += (double)a[c] * (double)b[c];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

/* ---- all products of two sets of rows ----------------------------------------------------------- */

typedef struct products {
    const cl_pca_kernels *kernels;
    int64_t cols, a_count, b_count;
    const float *a, *b;
    double *out;
} products;

static void product_tile(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const products *s = context;
    int64_t across = (s->b_count + TILE - 1) / TILE, i = piece / across * TILE, j = piece % across * TILE;
    if (s->a == s->b && j < i) return;
    for (int64_t c = 0; c < s->cols; c += RUN)
        s->kernels->dot(cl_smaller(TILE, s->a_count - i), cl_smaller(TILE, s->b_count - j),
                        cl_smaller(RUN, s->cols - c), s->a + i * s->cols + c, s->cols, s->b + j * s->cols + c, s->cols,
                        1.0, s->out + i * s->b_count + j, s->b_count);
}

void cl_row_products(cl_pool *pool, int64_t cols, const float *a, int64_t a_count, const float *b, int64_t b_count,
                     double *out) {
    products s = {cl_pca_kernels_get(), cols, a_count, b_count, a, b, out};
    memset(out, 0, (size_t)(a_count * b_count) * sizeof *out);
    cl_pool_run(pool, (a_count + TILE - 1) / TILE * ((b_count + TILE - 1) / TILE), product_tile, &s);
}

/* ---- sums of rows ------------------------------------------------------------------------------- */

typedef struct combination {
    const cl_pca_kernels *kernels;
    int64_t cols, n, count;
    const float *from, *weights;
    cl_combine how;
    float *rows;
    float *transposed; /* per worker: STRIPE x n */
    double *sums;      /* per worker: STRIPE x count */
} combination;

static void combine_stripe(void *context, int64_t piece, int32_t worker) {
    const combination *s = context;
    int64_t column = piece * STRIPE, width = cl_smaller(STRIPE, s->cols - column);
    float *transposed = s->transposed + (int64_t)worker * STRIPE * s->n;
    double *sums = s->sums + (int64_t)worker * STRIPE * s->count;
    for (int64_t j = 0; j < s->n; j++)
        for (int64_t c = 0; c < width; c++) transposed[c * s->n + j] = s->from[j * s->cols + column + c];
    memset(sums, 0, (size_t)(STRIPE * s->count) * sizeof *sums);
    s->kernels->dot(width, s->count, s->n, transposed, s->n, s->weights, s->n, 1.0, sums, s->count);
    for (int64_t j = 0; j < s->count; j++)
        for (int64_t c = 0; c < width; c++) {
            float *x = &s->rows[j * s->cols + column + c];
            const double sum = sums[c * s->count + j];
            *x = (float)(s->how == CL_COMBINE_SET   ? sum
                         : s->how == CL_COMBINE_ADD ? (double)*x + sum
                                                    : (double)*x - sum);
        }
}

coulis_status cl_row_combine(cl_pool *pool, int64_t cols, const float *from, int64_t n, const float *weights,
                             int64_t count, cl_combine how, float *rows, coulis_error *error) {
    size_t threads = (size_t)cl_pool_threads(pool);
    combination s = {.kernels = cl_pca_kernels_get(),
                     .cols = cols,
                     .n = n,
                     .count = count,
                     .from = from,
                     .weights = weights,
                     .how = how,
                     .rows = rows,
                     .transposed = cl_alloc(threads, STRIPE * (size_t)n * sizeof *s.transposed),
                     .sums = cl_alloc(threads, STRIPE * (size_t)count * sizeof *s.sums)};
    coulis_status status = COULIS_OK;
    if (s.transposed && s.sums) cl_pool_run(pool, (cols + STRIPE - 1) / STRIPE, combine_stripe, &s);
    else status = cl_fail_memory(error, "vectors", threads * STRIPE * (size_t)(4 * n + 8 * count));
    cl_free(s.transposed);
    cl_free(s.sums);
    return status;
}

/* ---- orthonormal rows ---------------------------------------------------------------------------- */

typedef struct basis {
    int64_t count, cols;
    float *rows;
    double *squares;  /* count: squared lengths */
    double *products; /* count x count */
} basis;

static void normalise_row(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const basis *s = context;
    float *row = s->rows + piece * s->cols;
    double square = cl_row_product(row, row, s->cols), factor = square > 0 ? 1 / sqrt(square) : 0;
    s->squares[piece] = square;
    for (int64_t c = 0; c < s->cols; c++) row[c] = (float)((double)row[c] * factor);
}

void cl_normalise(cl_pool *pool, int64_t count, int64_t cols, float *rows, double *squares) {
    basis s = {.count = count, .cols = cols, .rows = rows, .squares = squares};
    cl_pool_run(pool, count, normalise_row, &s);
}

/* The largest deviation of the products from those of an orthonormal set. */
static double find_products(basis *s, cl_pool *pool) {
    cl_row_products(pool, s->cols, s->rows, s->count, s->rows, s->count, s->products);
    double worst = 0;
    for (int64_t i = 0; i < s->count; i++)
        for (int64_t j = i; j < s->count; j++)
            worst = fmax(worst, fabs(s->products[i * s->count + j] - (i == j ? 1 : 0)));
    return worst;
}

/* With S = rows rows^T = L L^T (Cholesky), L^-1 rows is orthonormal. Its difference from the rows is small,
 * so that floats do for it. L[i][i] is the part of row i that is outside the span of those before it. */
static coulis_status apply_cholesky(basis *s, cl_pool *pool, coulis_error *error) {
    size_t count = (size_t)s->count;
    float *change = cl_alloc(count, count * sizeof *change);
    if (!change) return cl_fail_memory(error, "the components", count * count * sizeof *change);
    size_t kept = (size_t)cl_invert_cholesky(s->products, s->count, OUTSIDE);
    for (size_t i = 0; i < kept; i++)
        for (size_t j = 0; j < kept; j++)
            change[i * kept + j] = j > i ? 0 : (float)(s->products[j * count + i] - (i == j ? 1 : 0));
    s->count = (int64_t)kept;
    coulis_status status = cl_row_combine(pool, s->cols, s->rows, s->count, change, s->count, CL_COMBINE_ADD, s->rows,
                                          error);
    cl_free(change);
    return status;
}

coulis_status cl_orthonormalise(cl_pool *pool, int64_t *count, int64_t cols, float *rows, coulis_error *error) {
    basis s = {.count = *count,
               .cols = cols,
               .rows = rows,
               .products = cl_alloc((size_t)*count, (size_t)*count * sizeof *s.products),
               .squares = cl_alloc((size_t)*count, sizeof *s.squares)};
    coulis_status status = COULIS_OK;
    if (!s.products || !s.squares)
        status = cl_fail_memory(error, "the components", (size_t)(*count * *count) * sizeof *s.products);
    /* The second round mends what the first left because its change was not small. */
    for (int round = 0; round < 2 && !status && find_products(&s, pool) > GOOD; round++) {
        status = apply_cholesky(&s, pool, error);
        if (!status) cl_pool_run(pool, s.count, normalise_row, &s);
    }
    if (!status) *count = s.count;
    cl_free(s.products);
    cl_free(s.squares);
    return status;
}

coulis_status cl_complete_basis(int64_t have, int64_t count, int64_t cols, float *rows, coulis_error *error) {
    if (have == count) return COULIS_OK;
    double *rest = cl_alloc((size_t)cols, sizeof *rest); /* squared distance of each unit vector from the span */
    double *vector = cl_alloc((size_t)cols, sizeof *vector);
    coulis_status status = COULIS_OK;
    if (!rest || !vector) status = cl_fail_memory(error, "the components", (size_t)cols * 16);
    for (int64_t c = 0; c < cols && !status; c++) rest[c] = 1;
    for (int64_t i = 0; i < count && !status; i++) {
        float *row = rows + i * cols;
        if (i >= have) {
            int64_t best = 0;
            for (int64_t c = 1; c < cols; c++)
                if (rest[c] > rest[best]) best = c;
            memset(vector, 0, (size_t)cols * sizeof *vector);
            vector[best] = 1;
            for (int pass = 0; pass < 2; pass++) { /* twice is enough (Giraud and others, 2005) */
                for (int64_t j = 0; j < i; j++) {
                    const float *other = rows + j * cols;
                    double product = 0;
                    if (pass == 0) product = (double)other[best];
                    else
                        for (int64_t c = 0; c < cols; c++) product += vector[c] * (double)other[c];
                    if (product != 0)
                        for (int64_t c = 0; c < cols; c++) vector[c] -= product * (double)other[c];
                }
            }
            double length = 0;
            for (int64_t c = 0; c < cols; c++) length += vector[c] * vector[c];
            for (int64_t c = 0; c < cols; c++) row[c] = (float)(vector[c] / sqrt(length));
        }
        for (int64_t c = 0; c < cols; c++) rest[c] -= (double)row[c] * (double)row[c];
    }
    cl_free(rest);
    cl_free(vector);
    return status;
}
