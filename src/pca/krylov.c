#include "pca/krylov.h"

#include <math.h>

#include "pca/basis.h"
#include "pca/model.h"
#include "pca/product.h"
#include "pca/solver.h"
#include "pca/subspace.h"

/* With A the centred rows and G = A^T A: an orthonormal set that spans a random block B, GB, GGB, ... is grown by
 * one reading of the rows a block (Musco and Musco, 2015; the blocks are made orthogonal to those before them, as
 * Lanczos does). What G does within the set is a small matrix, whose eigenvectors give the components and whose
 * eigenvalues, never larger than those of G, the variances (Rayleigh and Ritz). All matrices here are divided by G's
 * trace, so that eigenvalues are shares. */

/* Vectors of a block. For a share nobody knows how many components there will be. */
#define BLOCK_MIN 32
#define BLOCK_MAX 512
#define BLOCK_FOR_SHARE 128
/* More than are asked for, so that the last one converges as well. */
#define BLOCK_MORE 8
/* Readings of the rows for a number of components at most; for a share, as many as the set has room for. */
#define PASSES 16
/* It is enough when each G v differs from lambda v by this share of the smallest lambda that is kept; the error of
 * lambda is of the order of its square. */
#define ENOUGH 1e-3
/* The products' own rounding, as a share of the largest eigenvalue: residuals below are not measured. */
#define ROUNDING 1.9073486328125e-6 /* 2^-19 */
/* What is less than this share of the largest variance is 0. */
#define ZERO 9.5367431640625e-7 /* 2^-20 */
/* Memory for measuring components together. */
#define MEASURE_BYTES (256LL << 20)

typedef struct krylov {
    cl_product *product;
    cl_subspace space;
    double share;   /* asked for, or 0 */
    int64_t wanted; /* components asked for, or 0 */
    double *table;  /* G within the set: row i has its products with rows 0 .. i */
    int64_t done;   /* vectors whose row of `table` is there */
    double *wide;   /* G times the last block */
    float *narrow;
    double *beyond;       /* block x added: G times the last block, along the vectors added since */
    int64_t block, added; /* vectors of the last block, and of the next */
    /* The answer so far. */
    int64_t count;   /* components; 0 when the share is not reached */
    double *values;  /* as many as vectors that are done */
    double *vectors; /* count x done */
    double reached;  /* share of all of them */
} krylov;

/* Numbers between -1 and 1, the same on every machine (generator: Knuth, MMIX). */
static void fill_random(float *x, int64_t count) {
    uint64_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)((double)(state >> 40) / 8388608.0 - 1);
    }
}

/* ---- growing the set ----------------------------------------------------------------------------- */

/* Applies G to the vectors added last: fills their rows of the table, and leaves the products in k->narrow. */
static coulis_status apply_block(krylov *k, coulis_error *error) {
    int64_t cols = k->space.cols, to = k->space.count, block = to - k->done;
    coulis_status status = cl_product_apply(k->product, block, k->space.rows + k->done * cols, k->wide, error);
    double total = cl_product_trace(k->product);
    if (status || !(total > 0)) return status;
    for (int64_t i = 0; i < block * cols; i++) k->narrow[i] = (float)(k->wide[i] / total);
    double *table = cl_grow(k->table, (size_t)(to * (to + 1) / 2), sizeof *table);
    if (table) k->table = table;
    double *products = cl_alloc((size_t)block, (size_t)to * sizeof *products);
    if (!table || !products) {
        cl_free(products);
        return cl_fail_memory(error, "vectors", (size_t)(to * to) * sizeof *products);
    }
    cl_subspace_products(&k->space, 0, to, block, k->narrow, products);
    for (int64_t i = k->done; i < to; i++)
        memcpy(table + i * (i + 1) / 2, products + (i - k->done) * to, (size_t)(i + 1) * sizeof *table);
    cl_free(products);
    k->block = block;
    k->done = to;
    return COULIS_OK;
}

/* Adds the products of the last block to the set, if it may be so large. *complete: nothing was left of them outside
 * the set, so that it holds all that G makes of it. */
static coulis_status add_block(krylov *k, bool *complete, coulis_error *error) {
    k->added = 0;
    *complete = false;
    if (k->done + k->block > CL_KRYLOV_VECTORS && k->space.cols > CL_KRYLOV_VECTORS) return COULIS_OK;
    coulis_status status = cl_subspace_extend(&k->space, k->block, k->narrow, error);
    k->added = k->space.count - k->done;
    *complete = k->added == 0;
    if (!status && k->added) cl_subspace_products(&k->space, k->done, k->added, k->block, k->narrow, k->beyond);
    return status;
}

/* ---- the answer in the set -------------------------------------------------------------------------- */

/* The longest of G v - lambda v, for the components v: what of G v lies along the vectors that were added last. */
static double find_residual(const krylov *k) {
    double worst = 0;
    for (int64_t i = 0; i < k->count; i++) {
        const double *part = k->vectors + i * k->done + k->done - k->block;
        double square = 0;
        for (int64_t j = 0; j < k->added; j++) {
            double sum = 0;
            for (int64_t l = 0; l < k->block; l++) sum += part[l] * k->beyond[l * k->added + j];
            square += sum * sum;
        }
        worst = fmax(worst, sqrt(square));
    }
    return worst;
}

static coulis_status find_values(krylov *k, const cl_eigen *eigen, bool complete, coulis_error *error) {
    coulis_status status = cl_eigen_values(eigen, k->values, error);
    if (status) return status;
    k->reached = 0;
    for (int64_t i = 0; i < k->done; i++) k->reached += k->values[i] = fmax(k->values[i], 0);
    k->count = cl_smaller(k->wanted, k->done);
    if (k->share > 0)
        k->count = complete || k->reached > k->share ? cl_count_for_share(k->values, k->done, 1.0, k->share) : 0;
    return COULIS_OK;
}

/* Solves within the set; `complete` when it can grow no more because nothing is left outside. */
static coulis_status solve(krylov *k, bool complete, coulis_error *error) {
    size_t side = (size_t)k->done;
    cl_free(k->values);
    cl_free(k->vectors);
    k->vectors = NULL;
    k->values = cl_alloc(side, sizeof *k->values);
    double *matrix = cl_alloc(side, side * sizeof *matrix);
    cl_eigen eigen = {0};
    coulis_status status = COULIS_OK;
    if (!k->values || !matrix) status = cl_fail_memory(error, "vectors", side * side * sizeof *matrix);
    const double *table = k->table;
    for (size_t i = 0; i < side && !status; i++)
        for (size_t j = 0; j <= i; j++) matrix[j * side + i] = *table++;
    if (!status) status = cl_eigen_open(&eigen, matrix, k->done, k->space.pool, error);
    if (!status) status = find_values(k, &eigen, complete, error);
    if (!status && k->count) {
        k->vectors = cl_alloc((size_t)k->count, side * sizeof *k->vectors);
        if (k->vectors) status = cl_eigen_vectors(&eigen, k->count, k->values, k->vectors, error);
        else status = cl_fail_memory(error, "vectors", (size_t)k->count * side * sizeof *k->vectors);
    }
    cl_eigen_close(&eigen);
    cl_free(matrix);
    return status;
}

/* Grows the set until it holds the answer. */
static coulis_status search(krylov *k, int64_t block, coulis_error *error) {
    int64_t cols = k->space.cols;
    bool complete;
    size_t elements = (size_t)(block * cols);
    k->wide = cl_alloc(elements, sizeof *k->wide);
    k->narrow = cl_alloc(elements, sizeof *k->narrow);
    k->beyond = cl_alloc((size_t)block, (size_t)block * sizeof *k->beyond);
    if (!k->wide || !k->narrow || !k->beyond) return cl_fail_memory(error, "vectors", elements * 12);
    fill_random(k->narrow, block * cols);
    coulis_status status = cl_subspace_extend(&k->space, block, k->narrow, error);
    k->space.largest = 0;
    for (int pass = 1; !status; pass++) {
        status = apply_block(k, error);
        if (status || !(cl_product_trace(k->product) > 0)) return status;
        status = add_block(k, &complete, error);
        if (!status) status = solve(k, complete, error);
        if (status) return status;
        if (k->count && find_residual(k) <= fmax(ROUNDING * k->values[0], ENOUGH * k->values[k->count - 1]) &&
            (k->share > 0 || k->count == k->wanted))
            break;
        if (k->added == 0 || (k->share == 0 && pass >= PASSES && k->count == k->wanted)) break;
    }
    if (!status && k->share > 0 && k->count == 0)
        return cl_fail(error, COULIS_NUMERIC,
                       "%lld vectors, the most that are tried, explain %.6g of the variance, not the share of %g asked "
                       "for: ask for a smaller share or for a number of components",
                       (long long)k->done, k->reached, k->share);
    return status;
}

/* ---- the model ------------------------------------------------------------------------------------------ */

/* Measures each component by one more reading of the rows: its eigenvalue, and the error bound of all. With V
 * orthonormal, as many eigenvalues of G as there are components lie within the norm of G V - V L of the diagonal L
 * (Parlett, The Symmetric Eigenvalue Problem, 1998, theorem 11.5.1), and Frobenius' norm is at least that. */
static coulis_status measure(const krylov *k, coulis_pca *pca, coulis_error *error) {
    int64_t cols = pca->cols, most = MEASURE_BYTES / (cols * 8);
    most = cl_smaller(most < 1 ? 1 : most, pca->count);
    double *out = cl_alloc((size_t)most, (size_t)cols * sizeof *out), squares = 0;
    if (!out) return cl_fail_memory(error, "vectors", (size_t)(most * cols) * sizeof *out);
    coulis_status status = COULIS_OK;
    double total = cl_product_trace(k->product);
    for (int64_t first = 0; first < pca->count && !status; first += most) {
        int64_t count = cl_smaller(most, pca->count - first);
        status = cl_product_apply(k->product, count, pca->components + first * cols, out, error);
        for (int64_t i = 0; i < count && !status; i++) {
            const float *v = pca->components + (first + i) * cols;
            const double *product = out + i * cols;
            double along = 0, length = 0;
            for (int64_t c = 0; c < cols; c++) {
                along += (double)v[c] * product[c];
                length += (double)v[c] * (double)v[c];
            }
            double value = along / length;
            for (int64_t c = 0; c < cols; c++) {
                double rest = (product[c] - value * (double)v[c]) / total;
                squares += rest * rest;
            }
            pca->variance[first + i] = value;
        }
    }
    cl_free(out);
    for (int64_t i = 0; i < pca->count && !status; i++) {
        if (!(pca->variance[i] > ZERO * pca->variance[0])) pca->variance[i] = 0;
        if (i > 0 && pca->variance[i] > pca->variance[i - 1]) pca->variance[i] = pca->variance[i - 1];
    }
    pca->error_bound = sqrt(squares) + ROUNDING * pca->variance[0] / total;
    return status;
}

static coulis_status make_model(const krylov *k, int64_t rows, coulis_pca **pca, coulis_error *error) {
    int64_t count = k->share > 0 ? k->count > 0 ? k->count : 1 : k->wanted, sound = k->count;
    double total = cl_product_trace(k->product);
    coulis_pca *made;
    coulis_status status = cl_pca_alloc(count, k->space.cols, &made, error);
    if (status) return status;
    size_t elements = (size_t)(sound * k->done);
    float *weights = cl_alloc(elements, sizeof *weights);
    double *lengths = cl_alloc((size_t)count, sizeof *lengths);
    if (!weights || !lengths) status = cl_fail_memory(error, "vectors", elements * sizeof *weights);
    if (!status && sound) {
        for (size_t i = 0; i < elements; i++) weights[i] = (float)k->vectors[i];
        status = cl_subspace_combine(&k->space, k->done, sound, weights, made->components, error);
        if (!status) cl_normalise(k->space.pool, sound, made->cols, made->components, lengths);
        if (!status) status = cl_orthonormalise(k->space.pool, &sound, made->cols, made->components, error);
    }
    cl_free(weights);
    cl_free(lengths);
    if (!status) status = cl_complete_basis(sound, count, made->cols, made->components, error);
    made->solver = COULIS_SOLVER_RANDOMIZED;
    memcpy(made->mean, cl_product_mean(k->product), (size_t)made->cols * sizeof *made->mean);
    memset(made->variance, 0, (size_t)count * sizeof *made->variance);
    if (!status && total > 0) status = measure(k, made, error);
    if (!status) cl_pca_finish(k->space.pool, made, rows, total);
    if (status) coulis_pca_free(made);
    else *pca = made;
    return status;
}

coulis_status cl_krylov_fit(const cl_rows *rows, const coulis_spans *spans, double components, cl_pool *pool,
                            coulis_pca **pca, coulis_error *error) {
    bool share = components > 0 && components < 1;
    int64_t count = rows ? rows->rows : spans->rows, cols = rows ? rows->cols : spans->cols;
    krylov k = {.space = {.pool = pool, .cols = cols}, .share = share ? components : 0};
    if (!share) k.wanted = components > 0 ? (int64_t)components : cl_smaller(count, cols);
    if (k.wanted > CL_KRYLOV_COMPONENTS)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "%lld components of %lld rows and %lld columns are too many: the randomized solver finds at "
                       "most %d",
                       (long long)k.wanted, (long long)count, (long long)cols, CL_KRYLOV_COMPONENTS);
    int64_t block = share ? BLOCK_FOR_SHARE : k.wanted + BLOCK_MORE;
    block = cl_smaller(block < BLOCK_MIN ? BLOCK_MIN : cl_smaller(block, BLOCK_MAX), cols);
    coulis_status status = cl_product_open(rows, spans, pool, &k.product, error);
    if (!status) status = search(&k, block, error);
    if (!status) status = make_model(&k, count, pca, error);
    cl_product_close(k.product);
    cl_subspace_free(&k.space);
    cl_free(k.table);
    cl_free(k.wide);
    cl_free(k.narrow);
    cl_free(k.beyond);
    cl_free(k.values);
    cl_free(k.vectors);
    return status;
}
