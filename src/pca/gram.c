#include "pca/gram.h"

#include "pca/basis.h"
#include "pca/kernels/kernels.h"
#include "pca/source.h"

/* Rows of a tile of the matrix, and columns of a run of float sums: see covariance.c. */
#define TILE 96
#define RUN 1024
/* Rows on the right of a tile that are multiplied at a time: 96 KiB of them, past which those on the left stream. More
 * of them lay so far away that AVX2 was a tenth slower. */
#define SIDE 24
#define SKEW 16
/* Columns of the components that are made at a time, and centred rows of so many columns: 256 KiB of them. */
#define STRIPE 512
#define STRIPE_ROWS 128
/* Up to here the matrix is too small to be shared out by tiles: the columns are shared out instead, in
 * this many parts, each with a matrix of its own; these are added in order at the end. */
#define SMALL 256
#define PARTS 16
/* Memory for rows: all of them when they fit into 512 MiB, else a large group against which the
 * others are read in small blocks. */
#define ALL_BYTES (512LL << 20)
#define GROUP_BYTES (384LL << 20)
#define BLOCK_BYTES (128LL << 20)

struct cl_gram {
    const cl_rows *rows;
    cl_pool *pool;
    const cl_pca_kernels *kernels;
    int64_t group_rows, block_rows;
    float *group, *block; /* NULL when the rows are in memory already */
    int64_t group_first;  /* first row in `group`, -1 for none */
    double *mean;
    double scale;
};

static int64_t at_least_1(int64_t x) { return x < 1 ? 1 : x; }
/* Rows of the group that begins with `first`. */
static coulis_status get_group(cl_gram *g, int64_t first, const float **x, coulis_error *error) {
    int64_t count = cl_smaller(g->group_rows, g->rows->rows - first);
    if (g->group && g->group_first == first) {
        *x = g->group;
        return COULIS_OK;
    }
    g->group_first = -1;
    coulis_status status = cl_rows_block(g->rows, first, count, g->group, x, error);
    if (!status) g->group_first = first;
    return status;
}

/* The mean of each column, and the scale. Always summed in the same blocks. */
static coulis_status find_mean(cl_gram *g, double *sum, float *limits, coulis_error *error) {
    int64_t cols = g->rows->cols, rows = g->rows->rows;
    int kept = g->group_rows == rows;
    float *low = limits, *high = limits + cols, *lowest = limits + 2 * cols, *highest = limits + 3 * cols;
    const float *all = NULL;
    coulis_status status = kept ? get_group(g, 0, &all, error) : COULIS_OK;
    for (int64_t first = 0; first < rows && !status; first += g->block_rows) {
        int64_t count = cl_smaller(g->block_rows, rows - first);
        const float *x = kept ? all + first * cols : NULL;
        if (!kept) status = cl_rows_block(g->rows, first, count, g->block, &x, error);
        if (!status) status = cl_column_stats(g->pool, x, first, count, cols, sum, low, high, error);
        for (int64_t c = 0; c < cols && !status; c++) {
            g->mean[c] += sum[c];
            if (first == 0 || low[c] < lowest[c]) lowest[c] = low[c];
            if (first == 0 || high[c] > highest[c]) highest[c] = high[c];
        }
        if (!status) status = cl_rows_progress(g->rows, first / 4, rows, error);
    }
    if (status) return status;
    for (int64_t c = 0; c < cols; c++) g->mean[c] /= (double)rows;
    g->scale = cl_centred_scale(lowest, highest, cols);
    return COULIS_OK;
}

coulis_status cl_gram_open(const cl_rows *rows, cl_pool *pool, cl_gram **gram, coulis_error *error) {
    int64_t row_bytes = rows->cols * 4;
    size_t cols = (size_t)rows->cols;
    cl_gram *g = cl_alloc_zero(1, sizeof *g);
    if (!g) return cl_fail_memory(error, "the Gram matrix", sizeof *g);
    *g = (cl_gram){.rows = rows, .pool = pool, .kernels = cl_pca_kernels_get(), .group_first = -1};
    g->block_rows = cl_smaller(at_least_1(BLOCK_BYTES / row_bytes), rows->rows);
    g->group_rows = rows->rows <= ALL_BYTES / row_bytes ? rows->rows : at_least_1(GROUP_BYTES / row_bytes);
    int read = !cl_rows_in_memory(rows), several = g->group_rows < rows->rows;
    if (read) g->group = cl_alloc((size_t)g->group_rows, cols * sizeof *g->group);
    if (read && several) g->block = cl_alloc((size_t)g->block_rows, cols * sizeof *g->block);
    g->mean = cl_alloc_zero(cols, sizeof *g->mean);
    double *sum = cl_alloc(cols, sizeof *sum);
    float *limits = cl_alloc(cols, 4 * sizeof *limits);
    coulis_status status = COULIS_OK;
    if ((read && !g->group) || (read && several && !g->block) || !g->mean || !sum || !limits)
        status = cl_fail_memory(error, "rows of vectors",
                                (size_t)(g->group_rows + g->block_rows + 8) * cols * sizeof *g->group);
    if (!status) status = find_mean(g, sum, limits, error);
    cl_free(sum);
    cl_free(limits);
    if (status) cl_gram_close(g);
    else *gram = g;
    return status;
}

void cl_gram_close(cl_gram *gram) {
    if (!gram) return;
    cl_free(gram->group);
    cl_free(gram->block);
    cl_free(gram->mean);
    cl_free(gram);
}

const double *cl_gram_mean(const cl_gram *gram) { return gram->mean; }

/* ---- the matrix -------------------------------------------------------------------------- */

/* Products of rows a with rows b, or of rows a with one another when b is a. */
typedef struct products {
    const cl_gram *g;
    const float *a, *b;
    int64_t a_count, b_count;
    float *scratch; /* centred rows: a's, then b's; RUN + SKEW apart; per worker in a small matrix */
    int64_t column; /* first of the current run */
    double *out;    /* where product (0, 0) belongs, and its row stride */
    int64_t out_stride;
} products;

static int64_t scratch_rows(const products *p) { return p->a_count + (p->b == p->a ? 0 : p->b_count); }

static void centre_run(const products *p, int64_t first, int64_t count, int64_t column, float *scratch) {
    int64_t cols = p->g->rows->cols, width = cl_smaller(RUN, cols - column);
    for (int64_t r = first; r < first + count; r++) {
        const float *x = r < p->a_count ? p->a + r * cols : p->b + (r - p->a_count) * cols;
        p->g->kernels->centre(1, width, x + column, cols, p->g->mean + column, p->g->scale, scratch + r * (RUN + SKEW),
                              RUN + SKEW);
    }
}

/* Adds the run's products of a tile; where b is a, those of a row with itself and rows after it. */
static void multiply_run(const products *p, int64_t i, int64_t j, int64_t column, const float *scratch, double *out,
                         int64_t out_stride) {
    const float *b = p->b == p->a ? scratch : scratch + p->a_count * (RUN + SKEW);
    int64_t end = cl_smaller(p->b_count, j + TILE), height = cl_smaller(p->a_count - i, TILE);
    for (; j < end; j += SIDE)
        p->g->kernels->dot(p->b == p->a ? cl_smaller(height, j + SIDE - i) : height, cl_smaller(SIDE, end - j),
                           cl_smaller(RUN, p->g->rows->cols - column), scratch + i * (RUN + SKEW), RUN + SKEW,
                           b + j * (RUN + SKEW), RUN + SKEW, 1 / (p->g->scale * p->g->scale), out + i * out_stride + j,
                           out_stride);
}

static void centre_piece(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const products *p = context;
    centre_run(p, piece * 16, cl_smaller(16, scratch_rows(p) - piece * 16), p->column, p->scratch);
}

static void tile_piece(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const products *p = context;
    int64_t across = (p->b_count + TILE - 1) / TILE;
    int64_t i = piece / across * TILE, j = piece % across * TILE;
    if (p->b == p->a && j < i) return;
    multiply_run(p, i, j, p->column, p->scratch, p->out, p->out_stride);
}

/* One part of the columns of a small matrix: everything on one thread. `out` holds PARTS matrices. */
static void part_piece(void *context, int64_t piece, int32_t worker) {
    const products *p = context;
    int64_t runs = (p->g->rows->cols + RUN - 1) / RUN;
    float *scratch = p->scratch + worker * scratch_rows(p) * (RUN + SKEW);
    double *out = p->out + piece * p->a_count * p->b_count;
    for (int64_t run = runs * piece / PARTS; run < runs * (piece + 1) / PARTS; run++) {
        centre_run(p, 0, scratch_rows(p), run * RUN, scratch);
        for (int64_t i = 0; i < p->a_count; i += TILE)
            for (int64_t j = p->b == p->a ? i : 0; j < p->b_count; j += TILE)
                multiply_run(p, i, j, run * RUN, scratch, out, p->b_count);
    }
}

static coulis_status multiply_small(const products *whole, coulis_error *error) {
    products p = *whole;
    size_t elements = (size_t)(p.a_count * p.b_count), floats = (size_t)(scratch_rows(&p) * (RUN + SKEW));
    size_t threads = (size_t)cl_pool_threads(p.g->pool);
    p.scratch = cl_alloc(floats, threads * sizeof *p.scratch);
    p.out = cl_alloc_zero(elements, PARTS * sizeof *p.out);
    coulis_status status = COULIS_OK;
    if (!p.scratch || !p.out)
        status = cl_fail_memory(error, "the Gram matrix", PARTS * 8 * elements + threads * 4 * floats);
    else cl_pool_run(p.g->pool, PARTS, part_piece, &p);
    for (size_t part = 0; part < PARTS && !status; part++)
        for (int64_t i = 0; i < p.a_count; i++)
            for (int64_t j = 0; j < p.b_count; j++)
                whole->out[i * p.out_stride + j] += p.out[part * elements + (size_t)(i * p.b_count + j)];
    cl_free(p.scratch);
    cl_free(p.out);
    return status;
}

static coulis_status multiply(products *p, coulis_error *error) {
    if (p->g->rows->rows <= SMALL) return multiply_small(p, error);
    p->scratch = cl_alloc((size_t)scratch_rows(p), (RUN + SKEW) * sizeof *p->scratch);
    if (!p->scratch) return cl_fail_memory(error, "centred rows", (size_t)scratch_rows(p) * RUN * sizeof *p->scratch);
    int64_t down = (p->a_count + TILE - 1) / TILE, across = (p->b_count + TILE - 1) / TILE;
    for (p->column = 0; p->column < p->g->rows->cols; p->column += RUN) {
        cl_pool_run(p->g->pool, (scratch_rows(p) + 15) / 16, centre_piece, p);
        cl_pool_run(p->g->pool, down * across, tile_piece, p);
    }
    cl_free(p->scratch);
    return COULIS_OK;
}

coulis_status cl_gram_matrix(cl_gram *g, double *matrix, coulis_error *error) {
    int64_t rows = g->rows->rows;
    memset(matrix, 0, (size_t)(rows * rows) * sizeof *matrix);
    coulis_status status = COULIS_OK;
    for (int64_t first = 0; first < rows && !status; first += g->group_rows) {
        products p = {.g = g, .a_count = cl_smaller(g->group_rows, rows - first), .out_stride = rows};
        status = get_group(g, first, &p.a, error);
        p.b = p.a;
        p.b_count = p.a_count;
        p.out = matrix + first * rows + first;
        if (!status) status = multiply(&p, error);
        for (int64_t other = first + p.a_count; other < rows && !status; other += g->block_rows) {
            p.b_count = cl_smaller(g->block_rows, rows - other);
            p.out = matrix + first * rows + other;
            status = cl_rows_block(g->rows, other, p.b_count, g->block, &p.b, error);
            if (!status) status = multiply(&p, error);
            /* A quarter of the bar for the mean, a half for this, a quarter for the components. */
            if (!status) status = cl_rows_progress(g->rows, rows / 4 + first / 2, rows, error);
        }
        if (!status) status = cl_rows_progress(g->rows, rows / 4 + (first + p.a_count) / 2, rows, error);
    }
    return status;
}

/* ---- the components ------------------------------------------------------------------------ */

typedef struct projection {
    const cl_gram *g;
    const float *x; /* rows first .. first+row_count-1 */
    int64_t first, row_count, count;
    const float *vectors; /* count x rows */
    float *components;
    float *centred; /* per worker: STRIPE_ROWS x STRIPE */
    double *sums;   /* per worker: count x STRIPE */
} projection;

static void project_stripe(void *context, int64_t piece, int32_t worker) {
    const projection *p = context;
    int64_t cols = p->g->rows->cols, rows = p->g->rows->rows;
    int64_t column = piece * STRIPE, width = cl_smaller(STRIPE, cols - column);
    float *centred = p->centred + (int64_t)worker * STRIPE_ROWS * STRIPE;
    double *sums = p->sums + (int64_t)worker * STRIPE * p->count;
    memset(sums, 0, (size_t)(STRIPE * p->count) * sizeof *sums);
    for (int64_t run = 0; run < p->row_count; run += STRIPE_ROWS) {
        int64_t length = cl_smaller(STRIPE_ROWS, p->row_count - run);
        p->g->kernels->centre(length, width, p->x + run * cols + column, cols, p->g->mean + column, p->g->scale,
                              centred, STRIPE);
        p->g->kernels->combine(p->count, width, length, p->vectors + p->first + run, rows, centred, STRIPE, sums,
                               STRIPE);
    }
    for (int64_t j = 0; j < p->count; j++) {
        float *component = p->components + j * cols + column;
        for (int64_t c = 0; c < width; c++) /* what lies there before the first rows has no meaning */
            component[c] = (p->first ? component[c] : 0) + (float)sums[j * STRIPE + c];
    }
}

coulis_status cl_gram_components(cl_gram *g, int64_t count, const double *vectors, float *components, double *squares,
                                 coulis_error *error) {
    int64_t rows = g->rows->rows, cols = g->rows->cols;
    size_t threads = (size_t)cl_pool_threads(g->pool), elements = (size_t)(count * rows);
    float *narrow = cl_alloc(elements, sizeof *narrow);
    projection p = {.g = g,
                    .count = count,
                    .vectors = narrow,
                    .components = components,
                    .centred = cl_alloc_zero(threads, STRIPE_ROWS * STRIPE * sizeof *p.centred),
                    .sums = cl_alloc(threads, STRIPE * (size_t)count * sizeof *p.sums)};
    coulis_status status = COULIS_OK;
    if (!narrow || !p.centred || !p.sums)
        status = cl_fail_memory(error, "the components",
                                elements * 4 + threads * STRIPE * ((size_t)count * 8 + STRIPE_ROWS * 4));
    for (size_t i = 0; i < elements && !status; i++) narrow[i] = (float)vectors[i];
    for (p.first = 0; p.first < rows && !status; p.first += g->group_rows) {
        p.row_count = cl_smaller(g->group_rows, rows - p.first);
        status = get_group(g, p.first, &p.x, error);
        if (!status) cl_pool_run(g->pool, (cols + STRIPE - 1) / STRIPE, project_stripe, &p);
        if (!status) status = cl_rows_progress(g->rows, rows * 3 / 4 + (p.first + p.row_count) / 4, rows, error);
    }
    cl_free(narrow);
    cl_free(p.centred);
    cl_free(p.sums);
    if (!status) cl_normalise(g->pool, count, cols, components, squares);
    for (int64_t i = 0; i < count && !status; i++) squares[i] /= g->scale * g->scale;
    return status;
}
