/* Which centre is nearest is decided as in src/index: float32 products, centred at the mean of a sample, with a bound
 * on their error, and float64 distances for the centres that the bound leaves. Most rows are not looked at in most
 * rounds: Hamerly (Making k-means even faster, 2010) keeps, for each, a bound above its distance to its own centre and
 * one below the distance to any other, and moves them by as much as centres moved. */
#include "collection/kmeans.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kernels/kernels.h"

#define ITERATIONS_MAX 300
#define SAMPLE 16384
#define TILE 96 /* rows multiplied at a time, as in src/index/search.c */
/* What is taken off and added to a bound for the rounding of float64 sums. */
#define MARGIN 1e-9

typedef struct scratch {
    float *rows, *products; /* TILE x cols, TILE x padded */
    double *sum;            /* cols */
} scratch;

typedef struct fit {
    const cl_kernels *kernels;
    const cl_vectors *v;
    cl_kmeans *out;
    cl_pool *pool;
    int64_t padded;
    float *middle, *packed, *centred, *bias; /* cols; packed centres; k x cols; padded */
    double largest;                          /* the length of the longest centred centre */
    double *upper, *lower;                   /* rows */
    double *moved, *gap;                     /* k: how far each moved; half the distance to the nearest other */
    int64_t *order, *starts;                 /* rows by cluster */
    scratch *scratch;
    bool first; /* no row has a cluster yet */
    _Atomic int64_t changed;
} fit;

static double distance_square(const float *a, const float *b, int64_t count) {
    enum { LANES = 8 };
    double sum[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int j = 0; j < LANES; j++) {
            const double difference = (double)a[i + j] - (double)b[i + j];
            sum[j] += difference * difference;
        }
    for (int j = 0; i < count; i++, j++) sum[j] += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static const float *row_of(const fit *f, int64_t row) { return f->v->x + row * f->v->cols; }
static float *centre_of(const fit *f, int64_t cluster) { return f->out->centres + cluster * f->v->cols; }

/* ---- the first centres -------------------------------------------------------------- */

typedef struct seeding {
    const fit *f;
    const float *centre;
    int64_t count;
    double *squares; /* of each sampled row's distance to the nearest centre so far */
} seeding;

#define SEED_ROWS 64

static int64_t sampled(const fit *f, int64_t i, int64_t count) {
    return (int64_t)((double)i / (double)count * (double)f->v->rows);
}

static void seed_rows(void *context, int64_t piece, int32_t worker) {
    const seeding *s = context;
    (void)worker;
    for (int64_t i = piece * SEED_ROWS; i < s->count && i < (piece + 1) * SEED_ROWS; i++)
        s->squares[i] = fmin(s->squares[i],
                             distance_square(row_of(s->f, sampled(s->f, i, s->count)), s->centre, s->f->v->cols));
}

/* SplitMix64 (Steele, Lea and Flood, 2014), as a number from 0 to 1. */
static double draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static coulis_status seed_centres(fit *f, uint64_t seed, coulis_error *error) {
    const int64_t rows = f->v->rows, cols = f->v->cols, wanted = f->out->k > SAMPLE ? f->out->k : SAMPLE;
    const int64_t count = rows < wanted ? rows : wanted;
    double *squares = cl_alloc((size_t)count, sizeof *squares);
    if (!squares) return cl_fail_memory(error, "k-means", (size_t)count * sizeof *squares);
    for (int64_t i = 0; i < count; i++) squares[i] = INFINITY;
    for (int64_t c = 0; c < f->out->k; c++) {
        double total = 0;
        for (int64_t i = 0; i < count && c > 0; i++) total += squares[i];
        int64_t chosen = c == 0 ? (int64_t)(draw(&seed) * (double)count) : c < count ? c : count - 1;
        if (c > 0 && total > 0) {
            double left = draw(&seed) * total;
            for (chosen = 0; chosen < count - 1 && (left -= squares[chosen]) >= 0; chosen++) continue;
        }
        memcpy(centre_of(f, c), row_of(f, sampled(f, chosen, count)), (size_t)cols * sizeof(float));
        seeding s = {.f = f, .centre = centre_of(f, c), .count = count, .squares = squares};
        cl_pool_run(f->pool, (count + SEED_ROWS - 1) / SEED_ROWS, seed_rows, &s);
    }
    cl_free(squares);
    return COULIS_OK;
}

/* ---- the nearest centre ------------------------------------------------------------- */

/* Packs the centres, and finds half the distance of each to the nearest other. A product of a centred row x and a
 * centred centre c, less half of c's square, is largest for the nearest centre. */
static void prepare_centres(fit *f) {
    const int64_t k = f->out->k, cols = f->v->cols;
    f->largest = 0;
    for (int64_t c = 0; c < k; c++) {
        float *to = f->centred + c * cols;
        for (int64_t i = 0; i < cols; i++) to[i] = centre_of(f, c)[i] - f->middle[i];
        const double square = cl_dot(to, to, cols);
        f->bias[c] = (float)(-square / 2);
        f->largest = fmax(f->largest, sqrt(square));
    }
    f->kernels->gemm_pack(cols, k, f->centred, 1, cols, f->packed);
}

static void find_gap(void *context, int64_t c, int32_t worker) {
    const fit *f = context;
    (void)worker;
    double nearest = INFINITY;
    for (int64_t other = 0; other < f->out->k; other++)
        if (other != c) nearest = fmin(nearest, distance_square(centre_of(f, c), centre_of(f, other), f->v->cols));
    f->gap[c] = sqrt(nearest) / 2 * (1 - MARGIN);
}

/* Chooses among the centres by the scores of a row. */
static int64_t choose(fit *f, int64_t row, const float *scores, double length) {
    const int64_t k = f->out->k, cols = f->v->cols;
    /* A score is wrong by at most (cols + 16) half units of |x| |c| + |c|^2: the sum's roundings, and those of x, c and
     * the bias. */
    const double error = cl_product_error(cols + 8) * (length * f->largest + f->largest * f->largest);
    double best = -INFINITY, nearest = INFINITY, second = -INFINITY;
    /* No fmax in these two loops: gcc 12 for 64-bit ARM fails on it. */
    for (int64_t c = 0; c < k; c++)
        if ((double)scores[c] > best) best = (double)scores[c];
    int64_t chosen = -1;
    for (int64_t c = 0; c < k; c++) {
        if ((double)scores[c] < best - 2 * error) continue;
        const double square = distance_square(row_of(f, row), centre_of(f, c), cols);
        if (square < nearest) {
            nearest = square;
            chosen = c;
        }
    }
    for (int64_t c = 0; c < k; c++)
        if (c != chosen && (double)scores[c] > second) second = (double)scores[c];
    f->upper[row] = sqrt(nearest) * (1 + MARGIN);
    f->lower[row] = sqrt(fmax(0, length * length - 2 * (second + error))) * (1 - MARGIN);
    return chosen;
}

static void assign_tile(void *context, int64_t piece, int32_t worker) {
    fit *f = context;
    scratch *s = &f->scratch[worker];
    const int64_t cols = f->v->cols, first = piece * TILE;
    const int64_t last = first + TILE < f->v->rows ? first + TILE : f->v->rows;
    int64_t rows[TILE], count = 0, changed = 0;
    double lengths[TILE];
    for (int64_t r = first; r < last; r++) {
        if (!f->first) {
            const int64_t own = f->out->cluster[r];
            const double bar = fmax(f->lower[r], f->gap[own]);
            if (f->upper[r] < bar) continue;
            f->upper[r] = sqrt(distance_square(row_of(f, r), centre_of(f, own), cols)) * (1 + MARGIN);
            if (f->upper[r] < bar) continue;
        }
        float *to = s->rows + count * cols;
        for (int64_t i = 0; i < cols; i++) to[i] = row_of(f, r)[i] - f->middle[i];
        lengths[count] = sqrt(cl_dot(to, to, cols));
        rows[count++] = r;
    }
    if (count == 0) return;
    const cl_gemm product = {.m = count,
                             .k = cols,
                             .columns = f->out->k,
                             .a = s->rows,
                             .a_stride = cols,
                             .b = f->packed,
                             .bias = f->bias,
                             .c = s->products,
                             .c_stride = f->padded,
                             .low = -INFINITY,
                             .high = INFINITY};
    f->kernels->gemm(&product);
    for (int64_t i = 0; i < count; i++) {
        const int64_t cluster = choose(f, rows[i], s->products + i * f->padded, lengths[i]);
        changed += f->first || cluster != f->out->cluster[rows[i]];
        f->out->cluster[rows[i]] = cluster;
    }
    atomic_fetch_add(&f->changed, changed);
}

/* ---- the centres' means ------------------------------------------------------------- */

/* Sorts the rows by cluster, so that each cluster's sum has one order and one thread. */
static void sort_rows(fit *f) {
    const int64_t k = f->out->k;
    memset(f->starts, 0, (size_t)(k + 1) * sizeof *f->starts);
    for (int64_t r = 0; r < f->v->rows; r++) f->starts[f->out->cluster[r] + 1]++;
    for (int64_t c = 0; c < k; c++) {
        f->out->sizes[c] = f->starts[c + 1];
        f->starts[c + 1] += f->starts[c];
    }
    for (int64_t r = 0; r < f->v->rows; r++) f->order[f->starts[f->out->cluster[r]]++] = r;
    for (int64_t c = k; c > 0; c--) f->starts[c] = f->starts[c - 1];
    f->starts[0] = 0;
}

/* A cluster without rows keeps its centre. */
static void average(void *context, int64_t cluster, int32_t worker) {
    const fit *f = context;
    const int64_t cols = f->v->cols, first = f->starts[cluster], count = f->out->sizes[cluster];
    double *sum = f->scratch[worker].sum, square = 0;
    f->moved[cluster] = 0;
    if (count == 0) return;
    memset(sum, 0, (size_t)cols * sizeof *sum);
    for (int64_t i = 0; i < count; i++) {
        const float *row = row_of(f, f->order[first + i]);
        for (int64_t c = 0; c < cols; c++) sum[c] += (double)row[c];
    }
    float *centre = centre_of(f, cluster);
    for (int64_t c = 0; c < cols; c++) {
        const float mean = (float)(sum[c] / (double)count);
        square += ((double)mean - (double)centre[c]) * ((double)mean - (double)centre[c]);
        centre[c] = mean;
    }
    f->moved[cluster] = sqrt(square) * (1 + MARGIN);
}

static void move_bounds(fit *f) {
    double most = 0;
    for (int64_t c = 0; c < f->out->k; c++) most = fmax(most, f->moved[c]);
    for (int64_t r = 0; r < f->v->rows; r++) {
        f->upper[r] += f->moved[f->out->cluster[r]];
        f->lower[r] -= most;
    }
}

static void measure(void *context, int64_t piece, int32_t worker) {
    const fit *f = context;
    (void)worker;
    const int64_t last = (piece + 1) * TILE < f->v->rows ? (piece + 1) * TILE : f->v->rows;
    for (int64_t r = piece * TILE; r < last; r++)
        f->upper[r] = distance_square(row_of(f, r), centre_of(f, f->out->cluster[r]), f->v->cols);
}

/* ---- the whole ---------------------------------------------------------------------- */

typedef struct ranked {
    int64_t cluster, size, first_row;
} ranked;

static int by_size(const void *x, const void *y) {
    const ranked *a = x, *b = y;
    if (a->size != b->size) return a->size > b->size ? -1 : 1;
    return (a->first_row > b->first_row) - (a->first_row < b->first_row);
}

/* Numbers the clusters by size. */
static coulis_status number_clusters(fit *f, coulis_error *error) {
    cl_kmeans *o = f->out;
    const size_t k = (size_t)o->k, cols = (size_t)o->cols;
    ranked *ranks = cl_alloc(k, sizeof *ranks);
    int64_t *place = cl_alloc(k, sizeof *place);
    float *centres = cl_alloc(k, cols * sizeof *centres);
    coulis_status status = COULIS_OK;
    if (!ranks || !place || !centres) {
        status = cl_fail_memory(error, "k-means", k * cols * sizeof *centres);
    } else {
        for (size_t c = 0; c < k; c++) {
            const int64_t first = o->sizes[c] ? f->order[f->starts[c]] : f->v->rows + (int64_t)c;
            ranks[c] = (ranked){(int64_t)c, o->sizes[c], first};
        }
        qsort(ranks, k, sizeof *ranks, by_size);
        for (size_t c = 0; c < k; c++) {
            place[ranks[c].cluster] = (int64_t)c;
            o->sizes[c] = ranks[c].size;
            memcpy(centres + c * cols, o->centres + (size_t)ranks[c].cluster * cols, cols * sizeof *centres);
        }
        for (int64_t r = 0; r < f->v->rows; r++) o->cluster[r] = place[o->cluster[r]];
        cl_free(o->centres);
        o->centres = centres;
        centres = NULL;
    }
    cl_free(ranks);
    cl_free(place);
    cl_free(centres);
    return status;
}

static coulis_status iterate(fit *f, uint64_t seed, coulis_error *error) {
    cl_kmeans *o = f->out;
    const int64_t tiles = (f->v->rows + TILE - 1) / TILE;
    coulis_status status = seed_centres(f, seed, error);
    if (status) return status;
    while (o->iterations < ITERATIONS_MAX && !o->converged) {
        prepare_centres(f);
        if (!f->first) cl_pool_run(f->pool, o->k, find_gap, f);
        atomic_store(&f->changed, 0);
        cl_pool_run(f->pool, tiles, assign_tile, f);
        f->first = false;
        sort_rows(f);
        o->iterations++;
        o->converged = atomic_load(&f->changed) == 0;
        if (o->converged) break;
        cl_pool_run(f->pool, o->k, average, f);
        move_bounds(f);
    }
    status = number_clusters(f, error);
    if (status) return status;
    cl_pool_run(f->pool, tiles, measure, f);
    for (int64_t r = 0; r < f->v->rows; r++) {
        o->inertia += f->upper[r];
        o->distance[r] = (float)sqrt(f->upper[r]);
    }
    return COULIS_OK;
}

static bool make_room(fit *f) {
    const size_t rows = (size_t)f->v->rows, cols = (size_t)f->v->cols, k = (size_t)f->out->k;
    const int32_t threads = cl_pool_threads(f->pool);
    f->out->centres = cl_alloc(k, cols * sizeof(float));
    f->out->cluster = cl_alloc(rows, sizeof(int64_t));
    f->out->distance = cl_alloc(rows, sizeof(float));
    f->out->sizes = cl_alloc_zero(k, sizeof(int64_t));
    f->middle = cl_alloc_zero(cols, sizeof(float));
    f->packed = cl_alloc((size_t)f->kernels->gemm_packed_count(f->v->cols, f->out->k), sizeof(float));
    f->centred = cl_alloc(k, cols * sizeof(float));
    f->bias = cl_alloc_zero((size_t)f->padded, sizeof(float));
    f->upper = cl_alloc(rows, sizeof(double));
    f->lower = cl_alloc(rows, sizeof(double));
    f->moved = cl_alloc(k, sizeof(double));
    f->gap = cl_alloc(k, sizeof(double));
    f->order = cl_alloc(rows, sizeof(int64_t));
    f->starts = cl_alloc(k + 1, sizeof(int64_t));
    f->scratch = cl_alloc_zero((size_t)threads, sizeof *f->scratch);
    bool good = f->out->centres && f->out->cluster && f->out->distance && f->out->sizes && f->middle && f->packed &&
                f->centred && f->bias && f->upper && f->lower && f->moved && f->gap && f->order && f->starts &&
                f->scratch;
    for (int32_t i = 0; i < threads && good; i++) {
        scratch *s = &f->scratch[i];
        s->rows = cl_alloc(TILE, cols * sizeof(float));
        s->products = cl_alloc(TILE, (size_t)f->padded * sizeof(float));
        s->sum = cl_alloc(cols, sizeof(double));
        good = s->rows && s->products && s->sum;
    }
    return good;
}

static void free_room(fit *f) {
    for (int32_t i = 0; f->scratch && i < cl_pool_threads(f->pool); i++) {
        cl_free(f->scratch[i].rows);
        cl_free(f->scratch[i].products);
        cl_free(f->scratch[i].sum);
    }
    void *all[] = {f->middle, f->packed, f->centred, f->bias,   f->upper,  f->lower,
                   f->moved,  f->gap,    f->order,   f->starts, f->scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) cl_free(all[i]);
}

/* The mean of up to 1,024 rows: where numbers are measured from, so that products stay small. */
static void find_middle(fit *f) {
    const int64_t cols = f->v->cols, count = f->v->rows < 1024 ? f->v->rows : 1024;
    double *sum = f->scratch[0].sum;
    memset(sum, 0, (size_t)cols * sizeof *sum);
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < cols; c++) sum[c] += (double)row_of(f, sampled(f, i, count))[c];
    for (int64_t c = 0; c < cols; c++) f->middle[c] = (float)(sum[c] / (double)count);
}

coulis_status cl_kmeans_fit(const cl_vectors *vectors, int64_t k, uint64_t seed, cl_pool *pool, cl_kmeans *result,
                            coulis_error *error) {
    if (vectors->rows < k)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%lld clusters cannot be made of %lld vectors", (long long)k,
                       (long long)vectors->rows);
    cl_kmeans made = {.k = k, .cols = vectors->cols};
    fit f = {.kernels = cl_kernels_get(), .v = vectors, .out = &made, .pool = pool, .first = true};
    f.padded = cl_padded(f.kernels, k);
    atomic_init(&f.changed, 0);
    coulis_status status;
    if (!make_room(&f)) {
        status = cl_fail(error, COULIS_NO_MEMORY, "out of memory for %lld clusters of %lld vectors", (long long)k,
                         (long long)vectors->rows);
    } else {
        find_middle(&f);
        status = iterate(&f, seed, error);
    }
    free_room(&f);
    if (status) cl_kmeans_free(&made);
    else *result = made;
    return status;
}

void cl_kmeans_free(cl_kmeans *result) {
    cl_free(result->centres);
    cl_free(result->cluster);
    cl_free(result->distance);
    cl_free(result->sizes);
    *result = (cl_kmeans){0};
}
