/* 3x3 convolutions in Winograd's domain: there, back, and a product for each point between. */
#include <math.h>

#include "net/pack.h"

/* Below this many channels in or out, the transforms cost more than the products save. */
#define CHANNELS_MIN 16

/* What a thread's tiles in Winograd's domain may take, and the results of COLUMNS output channels there: they come out
 * of the third-level cache again, in long runs. Tiles cut into more blocks, or inputs read once more for fewer channels
 * each time, cost more than what would then stay in the second level. 96 channels are whole panels everywhere. */
#define TILE_BYTES (2 * 1024 * 1024)
#define COLUMNS 96

/* Fewer tiles would fetch the weights, 36 times as many as inputs, too often: four images of 14x14 have 64. */
#define TILES_MIN 64

/* Output channels that are computed at a time, when `left` remain. */
static int64_t columns_of(int64_t left) { return left < COLUMNS ? left : COLUMNS; }

/* Tiles of 4x4 output pixels that are transformed at a time at most, for `in` and `out` padded channels. */
static int64_t tiles_at_once(int64_t in, int64_t out) {
    int64_t tiles = TILE_BYTES / (int64_t)sizeof(float) / 36 / (in + columns_of(out)) / 8 * 8;
    return tiles < TILES_MIN ? TILES_MIN : tiles;
}

/* The distance between planes of `count` numbers in Winograd's domain: an odd number of cache lines, as a transform
 * touches the same place of 36 planes, which must not all fall into the same few sets of a cache. */
static int64_t plane_of(int64_t count) {
    const int64_t line = CL_ALIGNMENT / (int64_t)sizeof(float), lines = (count + line - 1) / line;
    return (lines | 1) * line;
}

/* Tiles before and after the products, and the pixels around one. */
static int64_t scratch(const cl_plan *plan, const cl_step *step) {
    const int64_t in = cl_step_input(plan, step)->stride, out = cl_step_output(plan, step)->stride;
    const int64_t tiles = tiles_at_once(in, out);
    return 36 * (plane_of(tiles * in) + plane_of(tiles * columns_of(out))) + in;
}

/* Output channels whose filters are transformed together: as many as floats in a cache line, written at one go. */
#define FILTERS 16

/* G g G^T of 3x3 filters, in float64; Lavin and Gray, Fast algorithms for convolutional neural networks, 2015. */
static void winograd_filters(float g[9][FILTERS], const double scale[FILTERS], float u[36][FILTERS]) {
    static const double matrix[6][3] = {{1 / 4.0, 0, 0},
                                        {-1 / 6.0, -1 / 6.0, -1 / 6.0},
                                        {-1 / 6.0, 1 / 6.0, -1 / 6.0},
                                        {1 / 24.0, 1 / 12.0, 1 / 6.0},
                                        {1 / 24.0, -1 / 12.0, 1 / 6.0},
                                        {0, 0, 1}};
    for (int y = 0; y < 6; y++) {
        double row[3][FILTERS];
        const double *m = matrix[y];
        for (int x = 0; x < 3; x++)
            for (int f = 0; f < FILTERS; f++) row[x][f] = m[0] * g[x][f] + m[1] * g[3 + x][f] + m[2] * g[6 + x][f];
        for (int x = 0; x < 6; x++) {
            const double *n = matrix[x];
            for (int f = 0; f < FILTERS; f++)
                u[y * 6 + x][f] = (float)(scale[f] * (row[0][f] * n[0] + row[1][f] * n[1] + row[2][f] * n[2]));
        }
    }
}

/* The filters of `count` output channels, at most FILTERS, from `weight` on: into their columns of 36 planes. */
static void transform_filters(const float *weight, int64_t inputs, int64_t count, const double scale[FILTERS],
                              float *planes, int64_t plane, int64_t width) {
    for (int64_t i = 0; i < inputs; i++, planes += width) {
        float g[9][FILTERS] = {{0}}, u[36][FILTERS];
        for (int64_t f = 0; f < count; f++)
            for (int t = 0; t < 9; t++) g[t][f] = weight[(f * inputs + i) * 9 + t];
        winograd_filters(g, scale, u);
        for (int p = 0; p < 36; p++) memcpy(planes + p * plane, u[p], (size_t)count * sizeof(float));
    }
}

/* The 36 matrices of a 3x3 convolution in Winograd's domain: row input channel, column output channel. */
static coulis_status pack(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error) {
    const cl_node *node = step->node;
    const int64_t inputs = cl_step_input(plan, step)->channels, columns = node->channels;
    const int64_t padded = cl_step_output(plan, step)->stride, most = columns_of(columns);
    coulis_status status = cl_pack_room(step, 36 * inputs * padded, padded, error);
    if (status) return status;
    const int64_t plane = plane_of(inputs * most);
    float *planes = cl_alloc((size_t)(36 * plane), sizeof *planes);
    if (!planes) return cl_fail_memory(error, "packed weights", (size_t)(36 * plane) * sizeof *planes);
    const float *weight = cl_model_weight(model, node, CL_WEIGHT); /* output, input, height, width */
    float *packed = step->weights;
    for (int64_t first = 0, width; first < columns; first += width) {
        width = columns_of(columns - first);
        for (int64_t c = 0; c < width; c += FILTERS) {
            const int64_t count = cl_smaller(FILTERS, width - c);
            double scale[FILTERS] = {0}, shift;
            for (int64_t f = 0; f < count; f++) {
                const int64_t column = first + c + f;
                cl_pack_fold(model, step->norm, column, &scale[f], &shift);
                step->bias[column] = cl_pack_bias(model, node, column, scale[f], shift);
            }
            transform_filters(weight + (first + c) * inputs * 9, inputs, count, scale, planes + c, plane, width);
        }
        for (int p = 0; p < 36; p++, packed += plan->kernels->gemm_packed_count(inputs, width))
            plan->kernels->gemm_pack(inputs, width, planes + p * plane, width, 1, packed);
    }
    cl_free(planes);
    return COULIS_OK;
}

/* Tiles of all images, cut ones at the bottom first, then whole ones, those cut at the right, and the corners: so
 * those that use a point of the domain, which a cut tile may not, are neighbours. */
typedef struct tiling {
    int64_t across, down;                 /* whole tiles in an image */
    int32_t columns, rows;                /* pixels left for cut ones, 0 for none */
    int64_t bottom, whole, right, corner; /* where each kind ends */
} tiling;

static tiling tiling_of(const cl_value *out, int64_t images) {
    tiling t = {.across = out->width / 4, .down = out->height / 4, .columns = out->width % 4, .rows = out->height % 4};
    t.bottom = t.rows ? images * t.across : 0;
    t.whole = t.bottom + images * t.across * t.down;
    t.right = t.whole + (t.columns ? images * t.down : 0);
    t.corner = t.right + (t.columns && t.rows ? images : 0);
    return t;
}

/* A tile's first pixel, and its size. */
typedef struct place {
    int64_t image, y, x;
    int32_t rows, columns;
} place;

static place place_of(const tiling *t, int64_t tile) {
    const int64_t x = t->across * 4, y = t->down * 4, whole = t->across * t->down;
    if (tile < t->bottom) return (place){tile / t->across, y, tile % t->across * 4, t->rows, 4};
    if (tile < t->whole) {
        const int64_t n = tile - t->bottom;
        return (place){n / whole, n % whole / t->across * 4, n % t->across * 4, 4, 4};
    }
    if (tile < t->right) return (place){(tile - t->whole) / t->down, (tile - t->whole) % t->down * 4, x, 4, t->columns};
    return (place){tile - t->right, y, x, t->rows, t->columns};
}

/* The tiles *first .. *last-1 use plane p of the domain. */
static void tiles_using(const tiling *t, int p, int64_t *first, int64_t *last) {
    const bool bottom = !t->rows || cl_winograd_uses(p / 6, t->rows);
    const bool right = !t->columns || cl_winograd_uses(p % 6, t->columns);
    *first = bottom ? 0 : t->bottom;
    *last = !right ? t->whole : bottom ? t->corner : t->right;
}

/* Brings the pixels around one tile into Winograd's domain. */
static void transform_input(const cl_run *run, const cl_step *step, place at, const float *zeros, int64_t plane,
                            float *planes) {
    const cl_value *in = cl_step_input(run->plan, step);
    const cl_window *w = &step->node->window;
    const float *data = cl_value_data(run, step->inputs[0]) + at.image * in->size;
    cl_winograd_input tile = {
        .rows = at.rows, .columns = at.columns, .channels = in->stride, .out = planes, .plane = plane};
    for (int r = 0; r < at.rows + 2; r++) {
        const int64_t y = at.y - w->pad_before[0] + r;
        for (int c = 0; c < at.columns + 2; c++) {
            const int64_t x = at.x - w->pad_before[1] + c;
            const bool inside = y >= 0 && y < in->height && x >= 0 && x < in->width;
            tile.pixels[r][c] = inside ? data + (y * in->width + x) * in->stride : zeros;
        }
    }
    run->plan->kernels->winograd_input(&tile);
}

static void transform_output(const cl_run *run, const cl_step *step, place at, const cl_winograd_output *columns,
                             int64_t first_column) {
    const cl_value *out = cl_step_output(run->plan, step);
    const float *residual = cl_residual_data(run, step);
    const int64_t offset = at.image * out->size + (at.y * out->width + at.x) * out->stride + first_column;
    cl_winograd_output tile = *columns;
    tile.rows = at.rows;
    tile.columns = at.columns;
    tile.residual = residual ? residual + offset : NULL;
    tile.out = cl_value_data(run, step->output) + offset;
    run->plan->kernels->winograd_output(&tile);
}

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_plan *plan = run->plan;
    const cl_kernels *kernels = plan->kernels;
    const cl_value *in = cl_step_input(plan, step), *out = cl_step_output(plan, step);
    const tiling tiles = tiling_of(out, run->images);
    const int64_t most = tiles_at_once(in->stride, out->stride), blocks = (tiles.corner + most - 1) / most;
    /* Blocks of equal size: a small last one would fetch all weights, too. */
    const int64_t block = (tiles.corner + blocks - 1) / blocks;
    float *zeros = cl_scratch(run), *before = zeros + in->stride;
    float *after = before + 36 * plane_of(block * in->stride);
    memset(zeros, 0, (size_t)in->stride * sizeof *zeros);
    for (int64_t start = 0; start < tiles.corner; start += block) {
        const int64_t end = start + block < tiles.corner ? start + block : tiles.corner;
        const int64_t plane_in = plane_of((end - start) * in->stride);
        for (int64_t t = start; t < end; t++)
            transform_input(run, step, place_of(&tiles, t), zeros, plane_in, before + (t - start) * in->stride);
        const float *weights = step->weights;
        for (int64_t column = 0, count; column < out->channels; column += count) {
            count = columns_of(out->channels - column);
            const int64_t padded = cl_padded(kernels, count);
            const int64_t plane_out = plane_of((end - start) * padded);
            for (int p = 0; p < 36; p++, weights += kernels->gemm_packed_count(in->channels, count)) {
                int64_t first, last;
                tiles_using(&tiles, p, &first, &last);
                first = first < start ? 0 : first - start;
                last = (last < end ? last : end) - start;
                if (first >= last) continue;
                /* Bias, residual and activation come on the way back. */
                kernels->gemm(&(cl_gemm){.m = last - first,
                                         .k = in->channels,
                                         .columns = count,
                                         .a = before + p * plane_in + first * in->stride,
                                         .a_stride = in->stride,
                                         .b = weights,
                                         .c = after + p * plane_out + first * padded,
                                         .c_stride = padded,
                                         .low = -INFINITY,
                                         .high = INFINITY});
            }
            for (int64_t t = start; t < end; t++) {
                const cl_winograd_output back = {.in = after + (t - start) * padded,
                                                 .plane = plane_out,
                                                 .channels = padded,
                                                 .bias = step->bias + column,
                                                 .low = step->low,
                                                 .high = step->high,
                                                 .pixel_stride = out->stride,
                                                 .row_stride = out->width * out->stride};
                transform_output(run, step, place_of(&tiles, t), &back, column);
            }
        }
    }
}

static bool accepts(const cl_graph *graph, const cl_node *node) {
    const cl_window *w = &node->window;
    return node->inputs[0] != 0 && node->groups == 1 && w->kernel[0] == 3 && w->kernel[1] == 3 && w->stride[0] == 1 &&
           w->stride[1] == 1 && w->dilation[0] == 1 && w->dilation[1] == 1 &&
           graph->nodes[node->inputs[0]].channels >= CHANNELS_MIN && node->channels >= CHANNELS_MIN;
}

const cl_step_ops cl_step_winograd = {
    .flags = CL_STEP_FOLDS | CL_STEP_ADDS | CL_STEP_CLAMPS | CL_STEP_ACTIVATES,
    .accepts = accepts,
    .pack = pack,
    .scratch = scratch,
    .run = run_all,
};
