#include "pca/covariance.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "pca/kernels/kernels.h"
#include "pca/source.h"

/* Rows are taken in blocks. Each is centred by its own mean, its products summed, and the result
 * merged with that of the blocks before it by
 *
 *   M = Ma + Mb + (mean_b - mean_a)(mean_b - mean_a)^T na nb / (na + nb)
 *
 * (Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances,
 * 1979), so that one pass suffices and a mean far from 0 costs no digits. */

/* Columns of a tile of the matrix, and rows of a run of float sums; two sides of a tile, 96 x 1024
 * floats each, fill three quarters of a second-level cache of 1 MiB. Of the sizes tried (48 to 192, 512 and
 * 1024) none was more than 6 % faster. */
#define TILE 96
#define RUN 1024
/* Added to the row stride, so that the rows of a tile do not all fall into the same cache sets. */
#define SKEW 16
/* Columns that are transposed at a time. */
#define STRIPE 64

typedef struct covariance {
    const cl_pca_kernels *kernels;
    int64_t cols, block_rows, stride;
    double *mean, *matrix;
    /* The block at hand. */
    const float *x;
    int64_t count;
    double scale;     /* of the centred floats */
    double merge;     /* na nb / (na + nb) */
    double *block_mean, *shift; /* shift = mean_b - mean_a */
    float *centred;   /* cols x count, the block transposed */
} covariance;

/* Rows of a block: few enough that the transposed block is some 8 MiB, many enough that reading and
 * writing the matrix once a block is little beside the products. Depends on the shape alone. */
static int64_t rows_per_block(int64_t cols) {
    int64_t rows = (1 << 21) / cols / RUN * RUN;
    return rows < RUN ? RUN : rows > 8 * RUN ? 8 * RUN : rows;
}

static void centre_stripe(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const covariance *s = context;
    int64_t begin = piece * STRIPE, width = s->cols - begin < STRIPE ? s->cols - begin : STRIPE;
    s->kernels->centre_transposed(s->count, width, s->x + begin, s->cols, s->block_mean + begin, s->scale,
                                  s->centred + begin * s->stride, s->stride);
}

/* Tile number `piece` of the upper triangle, counted row by row, as its row and column. */
static void tile_of_piece(int64_t piece, int64_t tiles, int64_t *row, int64_t *column) {
    int64_t i = 0;
    while (piece >= tiles - i) piece -= tiles - i++;
    *row = i;
    *column = i + piece;
}

static void multiply_tile(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const covariance *s = context;
    int64_t row, column;
    tile_of_piece(piece, (s->cols + TILE - 1) / TILE, &row, &column);
    row *= TILE;
    column *= TILE;
    int64_t height = s->cols - row < TILE ? s->cols - row : TILE;
    int64_t width = s->cols - column < TILE ? s->cols - column : TILE;
    double *out = s->matrix + row * s->cols + column;
    if (s->merge > 0)
        for (int64_t i = 0; i < height; i++)
            for (int64_t j = 0; j < width; j++)
                out[i * s->cols + j] += s->merge * s->shift[row + i] * s->shift[column + j];
    double factor = 1 / (s->scale * s->scale);
    for (int64_t run = 0; run < s->count; run += RUN) {
        int64_t length = s->count - run < RUN ? s->count - run : RUN;
        s->kernels->dot(height, width, length, s->centred + row * s->stride + run, s->stride,
                        s->centred + column * s->stride + run, s->stride, factor, out, s->cols);
    }
}

static coulis_status add_block(covariance *s, const cl_rows *rows, cl_pool *pool, int64_t first, float *buffer,
                               float *low, float *high, coulis_error *error) {
    int64_t cols = s->cols, tiles = (cols + TILE - 1) / TILE;
    s->count = rows->rows - first < s->block_rows ? rows->rows - first : s->block_rows;
    coulis_status status = cl_rows_block(rows, first, s->count, buffer, &s->x, error);
    if (!status) status = cl_column_stats(pool, s->x, first, s->count, cols, s->block_mean, low, high, error);
    if (status) return status;
    double before = (double)first, here = (double)s->count;
    s->scale = cl_centred_scale(low, high, cols);
    s->merge = before * here / (before + here);
    for (int64_t c = 0; c < cols; c++) {
        s->block_mean[c] /= here;
        s->shift[c] = s->block_mean[c] - s->mean[c];
    }
    cl_pool_run(pool, (cols + STRIPE - 1) / STRIPE, centre_stripe, s);
    cl_pool_run(pool, tiles * (tiles + 1) / 2, multiply_tile, s);
    for (int64_t c = 0; c < cols; c++) s->mean[c] += s->shift[c] * (here / (before + here));
    return cl_rows_progress(rows, first + s->count, rows->rows, error);
}

coulis_status cl_covariance(const cl_rows *rows, cl_pool *pool, double *mean, double *matrix, coulis_error *error) {
    int64_t cols = rows->cols, block_rows = rows_per_block(cols);
    if (block_rows > rows->rows) block_rows = rows->rows;
    size_t width = (size_t)cols, height = (size_t)block_rows;
    covariance s = {.kernels = cl_pca_kernels_get(), .cols = cols, .block_rows = block_rows,
                    .stride = block_rows + SKEW, .mean = mean, .matrix = matrix};
    float *buffer = cl_rows_in_memory(rows) ? NULL : cl_alloc(width * height, sizeof *buffer);
    float *low = cl_alloc(width, sizeof *low), *high = cl_alloc(width, sizeof *high);
    s.centred = cl_alloc(width, (height + SKEW) * sizeof *s.centred);
    s.block_mean = cl_alloc(width, sizeof *s.block_mean);
    s.shift = cl_alloc(width, sizeof *s.shift);
    coulis_status status = COULIS_OK;
    if ((!buffer && !cl_rows_in_memory(rows)) || !low || !high || !s.centred || !s.block_mean || !s.shift)
        status = cl_fail_memory(error, "a block of rows", 2 * width * height * sizeof *s.centred);
    memset(mean, 0, width * sizeof *mean);
    memset(matrix, 0, width * width * sizeof *matrix);
    for (int64_t first = 0; first < rows->rows && !status; first += block_rows)
        status = add_block(&s, rows, pool, first, buffer, low, high, error);
    cl_free(buffer);
    cl_free(low);
    cl_free(high);
    cl_free(s.centred);
    cl_free(s.block_mean);
    cl_free(s.shift);
    return status;
}
