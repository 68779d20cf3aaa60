#include "pca/covariance.h"

#include <math.h>

#include "pca/kernels/kernels.h"
#include "pca/source.h"

/* Rows are taken in blocks. Each is centred by its own mean, its products summed, and the result
 * merged with that of the blocks before it by
 *
 *   M = Ma + Mb + (mean_b - mean_a)(mean_b - mean_a)^T na nb / (na + nb)
 *
 * (Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances,
 * 1979), so that one pass suffices and a mean far from 0 costs no digits. */

/* Columns of a tile of the matrix, a multiple of CL_SIDE_STEP; two sides of a tile, 96 x 1024 floats each, fill three
 * quarters of a second-level cache of 1 MiB. */
#define TILE 96
/* Floats from one slab to the next; some more than its numbers, so that rows of slabs do not all fall into the same
 * cache sets. */
#define STRIDE ((CL_COVARIANCE_BLOCK + 1) * CL_SLAB)
/* Columns that are centred at a time. */
#define STRIPE 128
/* Rows of float64 that are multiplied at a time: two sides of a tile, 96 x 128 numbers each, are 192 KiB. */
#define CHUNK 128
/* Rows of a triangle that are merged at a time. */
#define MERGE 16

/* A sum of float32 products is most often off by some 4e-8. Where the same products come again and again, in rows that
 * are equal or in columns that seldom change, their roundings have one sign and make it 1e-6. From this share of the
 * block's squares on, its products are of float64, which take two to three times as long. */
#define ROUGH 5.9604644775390625e-8 /* 2^-24 */

typedef struct stripe {
    double squares, error;
} stripe;

struct cl_covariance {
    const cl_pca_kernels *kernels;
    cl_pool *pool;
    int64_t cols;
    float *low, *high;
    double *block_mean, *shift; /* shift = mean_b - mean_a */
    float *centred;             /* slabs of the block; NULL when all products are of float64 */
    double *tiles;              /* per worker: TILE x TILE */
    double *panels;             /* the block centred in float64; NULL before the first that wants it */
    stripe *stripes;            /* of each STRIPE columns of `centred` */
    /* The current block. */
    const float *x;
    int64_t count;
    bool exact;   /* its products are of float64 */
    double scale; /* of the centred floats */
    double merge; /* na nb / (na + nb); 0 for the first block, which finds no sums in the triangle */
    double *triangle;
    /* Where the block is the last of its sum: the sums that it is merged with tile by tile, and n_l n / (n_l + n). */
    const cl_sums *left;
    double factor;
    cl_sums own; /* of the rows that join others; the triangle only where they are more than a block */
};

int64_t cl_triangle_size(int64_t cols) { return cols * (cols + 1) / 2; }
int64_t cl_triangle_row(int64_t cols, int64_t row) { return row * cols - row * (row - 1) / 2; }

/* Centres some columns, and finds how far their squares, summed in float32 as the products will be, are from those in
 * float64. */
static void centre_stripe(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const cl_covariance *s = context;
    int64_t begin = piece * STRIPE, width = s->cols - begin < STRIPE ? s->cols - begin : STRIPE;
    stripe sum = {0};
    for (int64_t c = begin; c < begin + width; c += CL_SLAB) {
        float *slab = s->centred + c / CL_SLAB * STRIDE;
        double error;
        s->kernels->centre_slab(s->count, s->cols - c, s->x + c, s->cols, s->block_mean + c, s->scale, slab);
        sum.squares += s->kernels->slab_squares(s->count, slab, &error);
        sum.error += error;
    }
    s->stripes[piece] = sum;
}

/* Centres a block for products of float32, unless they would come out too rough: then they are of float64. */
static void centre_block(cl_covariance *s) {
    int64_t stripes = (s->cols + STRIPE - 1) / STRIPE;
    double squares = 0, error = 0;
    cl_pool_run(s->pool, stripes, centre_stripe, s);
    for (int64_t i = 0; i < stripes; i++) {
        squares += s->stripes[i].squares;
        error += s->stripes[i].error;
    }
    s->exact = error > ROUGH * squares;
}

/* Tile number `piece` of the upper triangle, counted row by row, as its row and column. */
static void tile_of_piece(int64_t piece, int64_t tiles, int64_t *row, int64_t *column) {
    int64_t i = 0;
    while (piece >= tiles - i) piece -= tiles - i++;
    *row = i;
    *column = i + piece;
}

/* Panels of CL_PANEL columns, as many as whole tiles have. */
static int64_t panels_of(const cl_covariance *s) { return (s->cols + TILE - 1) / TILE * (TILE / CL_PANEL); }

static int64_t chunk_rows(const cl_covariance *s, int64_t first) {
    return s->count - first < CHUNK ? s->count - first : CHUNK;
}

/* Panel `panel` of the rows from `first` on, the first of a chunk. */
static double *panel_at(const cl_covariance *s, int64_t first, int64_t panel) {
    return s->panels + (first * panels_of(s) + panel * chunk_rows(s, first)) * CL_PANEL;
}

/* Centres a panel of columns of all rows; columns past the last one are 0. */
static void centre_panel(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const cl_covariance *s = context;
    int64_t begin = piece * CL_PANEL, width = s->cols - begin < CL_PANEL ? s->cols - begin : CL_PANEL;
    for (int64_t first = 0; first < s->count; first += CHUNK) {
        double *out = panel_at(s, first, piece);
        for (int64_t r = first; r < first + chunk_rows(s, first); r++, out += CL_PANEL)
            for (int64_t c = 0; c < CL_PANEL; c++)
                out[c] = c < width ? (double)s->x[r * s->cols + begin + c] - s->block_mean[begin + c] : 0;
    }
}

/* Centres a block for products of float64, once for all tiles. */
static coulis_status centre_double(cl_covariance *s, coulis_error *error) {
    const size_t panels = (size_t)panels_of(s), size = CL_COVARIANCE_BLOCK * CL_PANEL * sizeof *s->panels;
    if (!s->panels) s->panels = cl_alloc(panels, size);
    if (!s->panels) return cl_fail_memory(error, "a block of rows", panels * size);
    cl_pool_run(s->pool, (int64_t)panels, centre_panel, s);
    return COULIS_OK;
}

static void add_double(const cl_covariance *s, int64_t row, int64_t column, double *tile) {
    for (int64_t first = 0; first < s->count; first += CHUNK) {
        const int64_t rows = chunk_rows(s, first);
        for (int64_t i = 0; i < TILE; i += CL_PANEL)
            for (int64_t j = row == column ? i : 0; j < TILE; j += CL_PANEL)
                s->kernels->multiply(CL_PANEL, CL_PANEL, rows, panel_at(s, first, (row + i) / CL_PANEL), 1, CL_PANEL,
                                     panel_at(s, first, (column + j) / CL_PANEL), tile + i * TILE + j, TILE);
    }
}

/* The sums so far of a tile, with what the block's other mean adds to them. */
static void load_tile(const cl_covariance *s, int64_t row, int64_t height, int64_t column, int64_t width,
                      double *tile) {
    if (!(s->merge > 0) || row == column || height < TILE || width < TILE) memset(tile, 0, TILE * TILE * sizeof *tile);
    for (int64_t i = 0; i < height && s->merge > 0; i++) {
        const double *sums = s->triangle + cl_triangle_row(s->cols, row + i) - row - i + column;
        for (int64_t j = row == column ? i : 0; j < width; j++)
            tile[i * TILE + j] = sums[j] + s->merge * s->shift[row + i] * s->shift[column + j];
    }
}

/* Some numbers of a row: those of the sums on the left and on the right as sums of all their rows. */
static void merge_row(int64_t count, const double *left, const double *right, double step, const double *left_mean,
                      const double *right_mean, double *out) {
    for (int64_t j = 0; j < count; j++) out[j] = (left[j] + right[j]) + step * (right_mean[j] - left_mean[j]);
}

static void store_tile(const cl_covariance *s, int64_t row, int64_t height, int64_t column, int64_t width,
                       const double *tile) {
    for (int64_t r = row; r < row + height; r++, tile += TILE) {
        int64_t begin = r > column ? r : column, count = column + width - begin;
        int64_t place = cl_triangle_row(s->cols, r) - r + begin;
        if (!s->left) {
            memcpy(s->triangle + place, tile + begin - column, (size_t)count * sizeof *tile);
            continue;
        }
        const double *a = s->left->mean, *b = s->own.mean;
        double *sums = s->left->triangle + place;
        merge_row(count, sums, tile + begin - column, s->factor * (b[r] - a[r]), a + begin, b + begin, sums);
    }
}

static void multiply_tile(void *context, int64_t piece, int32_t worker) {
    const cl_covariance *s = context;
    int64_t row, column;
    tile_of_piece(piece, (s->cols + TILE - 1) / TILE, &row, &column);
    row *= TILE;
    column *= TILE;
    int64_t height = s->cols - row < TILE ? s->cols - row : TILE;
    int64_t width = s->cols - column < TILE ? s->cols - column : TILE;
    /* The kernel wants rows at a fixed distance; those of a triangle get shorter. */
    double *tile = s->tiles + (int64_t)worker * TILE * TILE;
    load_tile(s, row, height, column, width, tile);
    if (s->exact) add_double(s, row, column, tile);
    else
        s->kernels->slab_products(height, width, s->count, s->centred + row / CL_SLAB * STRIDE,
                                  s->centred + column / CL_SLAB * STRIDE, STRIDE, 1 / (s->scale * s->scale), tile,
                                  TILE);
    store_tile(s, row, height, column, width, tile);
}

/* A block of rows, `before` others of the same sum being done. */
static coulis_status add_block(cl_covariance *s, int64_t first, int64_t before, double *mean, coulis_error *error) {
    int64_t cols = s->cols, tiles = (cols + TILE - 1) / TILE;
    coulis_status status = cl_column_stats(s->pool, s->x, first, s->count, cols, s->block_mean, s->low, s->high, error);
    if (status) return status;
    double done = (double)before, here = (double)s->count;
    s->scale = cl_centred_scale(s->low, s->high, cols);
    s->merge = done * here / (done + here);
    for (int64_t c = 0; c < cols; c++) {
        s->block_mean[c] /= here;
        s->shift[c] = s->block_mean[c] - mean[c];
    }
    for (int64_t c = 0; c < cols; c++) mean[c] += s->shift[c] * (here / (done + here));
    s->exact = !s->centred;
    if (s->centred) centre_block(s);
    if (s->exact && (status = centre_double(s, error))) return status;
    cl_pool_run(s->pool, tiles * (tiles + 1) / 2, multiply_tile, s);
    return COULIS_OK;
}

static coulis_status add_rows(cl_covariance *s, const float *x, int64_t first, int64_t rows, cl_sums *sums,
                              const cl_sums *left, coulis_error *error) {
    coulis_status status = COULIS_OK;
    memset(sums->mean, 0, (size_t)s->cols * sizeof *sums->mean);
    sums->rows = rows;
    s->triangle = sums->triangle;
    for (int64_t before = 0; before < rows && !status; before += CL_COVARIANCE_BLOCK) {
        s->x = x + before * s->cols;
        s->count = rows - before < CL_COVARIANCE_BLOCK ? rows - before : CL_COVARIANCE_BLOCK;
        s->left = before + s->count == rows ? left : NULL;
        status = add_block(s, first + before, before, sums->mean, error);
    }
    return status;
}

coulis_status cl_covariance_sum(cl_covariance *s, const float *x, int64_t first, int64_t rows, cl_sums *sums,
                                coulis_error *error) {
    return add_rows(s, x, first, rows, sums, NULL, error);
}

static void merge_means(int64_t cols, const cl_sums *left, const cl_sums *right, cl_sums *out) {
    double a = (double)left->rows, b = (double)right->rows;
    for (int64_t c = 0; c < cols; c++) out->mean[c] = left->mean[c] + (right->mean[c] - left->mean[c]) * (b / (a + b));
    out->rows = left->rows + right->rows;
}

coulis_status cl_covariance_join(cl_covariance *s, const float *x, int64_t first, int64_t rows, cl_sums *left,
                                 coulis_error *error) {
    size_t size = (size_t)cl_triangle_size(s->cols);
    if (rows > CL_COVARIANCE_BLOCK && !s->own.triangle && !(s->own.triangle = cl_alloc(size, sizeof(double))))
        return cl_fail_memory(error, "sums of rows", size * sizeof(double));
    double a = (double)left->rows, b = (double)rows;
    s->factor = a * b / (a + b);
    coulis_status status = add_rows(s, x, first, rows, &s->own, left, error);
    if (!status) merge_means(s->cols, left, &s->own, left);
    return status;
}

coulis_status cl_covariance_open(int64_t cols, cl_pool *pool, cl_covariance **covariance, coulis_error *error) {
    size_t width = (size_t)cols, threads = (size_t)cl_pool_threads(pool);
    cl_covariance *s = cl_alloc_zero(1, sizeof *s);
    if (!s) return cl_fail_memory(error, "a block of rows", sizeof *s);
    *s = (cl_covariance){.kernels = cl_pca_kernels_get(),
                         .pool = pool,
                         .cols = cols,
                         .low = cl_alloc(width, sizeof *s->low),
                         .high = cl_alloc(width, sizeof *s->high),
                         .block_mean = cl_alloc(width, sizeof *s->block_mean),
                         .shift = cl_alloc(width, sizeof *s->shift),
                         .own.mean = cl_alloc(width, sizeof *s->own.mean),
                         .tiles = cl_alloc(threads, TILE * TILE * sizeof *s->tiles)};
    bool floats = cols > CL_COVARIANCE_DOUBLE;
    size_t slabs = (width + CL_SIDE_STEP - 1) / CL_SIDE_STEP * CL_SIDE_STEP / CL_SLAB;
    if (floats) s->centred = cl_alloc(slabs, STRIDE * sizeof *s->centred);
    if (floats) s->stripes = cl_alloc(width / STRIPE + 1, sizeof *s->stripes);
    if (!s->low || !s->high || !s->block_mean || !s->shift || !s->own.mean || !s->tiles ||
        (floats && (!s->centred || !s->stripes))) {
        cl_covariance_close(s);
        return cl_fail_memory(error, "a block of rows", slabs * STRIDE * sizeof *s->centred);
    }
    /* Slabs past the last column are multiplied with, though nobody reads what comes out. */
    size_t filled = (width + CL_SLAB - 1) / CL_SLAB;
    if (floats) memset(s->centred + filled * STRIDE, 0, (slabs - filled) * STRIDE * sizeof *s->centred);
    *covariance = s;
    return COULIS_OK;
}

void cl_covariance_close(cl_covariance *s) {
    if (!s) return;
    cl_free(s->low);
    cl_free(s->high);
    cl_free(s->block_mean);
    cl_free(s->shift);
    cl_free(s->own.mean);
    cl_free(s->own.triangle);
    cl_free(s->centred);
    cl_free(s->tiles);
    cl_free(s->panels);
    cl_free(s->stripes);
    cl_free(s);
}

/* ---- merging -------------------------------------------------------------------------------- */

typedef struct merging {
    int64_t cols;
    const cl_sums *left, *right;
    double *out;
    double factor;
} merging;

static void merge_rows(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const merging *m = context;
    const double *a = m->left->mean, *b = m->right->mean;
    int64_t end = piece * MERGE + MERGE < m->cols ? piece * MERGE + MERGE : m->cols;
    for (int64_t i = piece * MERGE; i < end; i++) {
        int64_t place = cl_triangle_row(m->cols, i);
        merge_row(m->cols - i, m->left->triangle + place, m->right->triangle + place, m->factor * (b[i] - a[i]), a + i,
                  b + i, m->out + place);
    }
}

void cl_covariance_merge(cl_pool *pool, int64_t cols, const cl_sums *left, const cl_sums *right, cl_sums *out) {
    double a = (double)left->rows, b = (double)right->rows;
    merging m = {.cols = cols, .left = left, .right = right, .out = out->triangle, .factor = a * b / (a + b)};
    cl_pool_run(pool, (cols + MERGE - 1) / MERGE, merge_rows, &m);
    merge_means(cols, left, right, out);
}
