/* 3x3 convolutions in Winograd's domain: there, back, and a product for each point between. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "net/pack.h"
#include "net/steps.h"

/* Tiles of all pictures, cut ones at the bottom first, then whole ones, those cut at the right, and the corners: so
 * those that use a point of the domain, which a cut tile may not, are neighbours. */
typedef struct tiling {
    int64_t across, down;     /* whole tiles in a picture */
    int32_t columns, rows;    /* pixels left for cut ones, 0 for none */
    int64_t bottom, whole, right, corner; /* where each kind ends */
} tiling;

static tiling tiling_of(const cl_value *out, int64_t pictures) {
    tiling t = {.across = out->width / 4, .down = out->height / 4, .columns = out->width % 4, .rows = out->height % 4};
    t.bottom = t.rows ? pictures * t.across : 0;
    t.whole = t.bottom + pictures * t.across * t.down;
    t.right = t.whole + (t.columns ? pictures * t.down : 0);
    t.corner = t.right + (t.columns && t.rows ? pictures : 0);
    return t;
}

/* A tile's first pixel, and its size. */
typedef struct place {
    int64_t picture, y, x;
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
    const cl_value *in = &run->plan->values[step->input];
    const cl_window *w = &step->node->window;
    const float *data = cl_value_data(run, step->input) + at.picture * in->size;
    cl_winograd_input tile = {.rows = at.rows, .columns = at.columns, .channels = in->stride, .out = planes,
                              .plane = plane};
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
    const cl_value *out = &run->plan->values[step->output];
    const float *residual = cl_residual_data(run, step);
    const int64_t offset = at.picture * out->size + (at.y * out->width + at.x) * out->stride + first_column;
    cl_winograd_output tile = *columns;
    tile.rows = at.rows;
    tile.columns = at.columns;
    tile.residual = residual ? residual + offset : NULL;
    tile.out = cl_value_data(run, step->output) + offset;
    run->plan->kernels->winograd_output(&tile);
}

void cl_run_winograd(const cl_run *run, const cl_step *step) {
    const cl_plan *plan = run->plan;
    const cl_kernels *kernels = plan->kernels;
    const cl_value *in = &plan->values[step->input], *out = &plan->values[step->output];
    const tiling tiles = tiling_of(out, run->pictures);
    const int64_t most = cl_winograd_tiles(in->stride, out->stride), blocks = (tiles.corner + most - 1) / most;
    /* Blocks of equal size: a small last one would fetch all weights, too. */
    const int64_t block = (tiles.corner + blocks - 1) / blocks;
    float *zeros = run->workspace + plan->scratch_offset, *before = zeros + in->stride;
    float *after = before + 36 * cl_winograd_plane(block * in->stride);
    memset(zeros, 0, (size_t)in->stride * sizeof *zeros);
    for (int64_t start = 0; start < tiles.corner; start += block) {
        const int64_t end = start + block < tiles.corner ? start + block : tiles.corner;
        const int64_t plane_in = cl_winograd_plane((end - start) * in->stride);
        for (int64_t t = start; t < end; t++)
            transform_input(run, step, place_of(&tiles, t), zeros, plane_in, before + (t - start) * in->stride);
        const float *weights = step->weights;
        for (int64_t column = 0, count; column < out->channels; column += count) {
            count = cl_winograd_columns(out->channels - column);
            const int64_t padded = cl_padded(kernels, count);
            const int64_t plane_out = cl_winograd_plane((end - start) * padded);
            for (int p = 0; p < 36; p++, weights += kernels->gemm_packed_count(in->channels, count)) {
                int64_t first, last;
                tiles_using(&tiles, p, &first, &last);
                first = first < start ? 0 : first - start;
                last = (last < end ? last : end) - start;
                if (first >= last) continue;
                /* Bias, residual and activation come on the way back. */
                kernels->gemm(&(cl_gemm){.m = last - first, .k = in->channels, .columns = count,
                                         .a = before + p * plane_in + first * in->stride, .a_stride = in->stride,
                                         .b = weights, .c = after + p * plane_out + first * padded, .c_stride = padded,
                                         .low = -INFINITY, .high = INFINITY});
            }
            for (int64_t t = start; t < end; t++) {
                const cl_winograd_output back = {.in = after + (t - start) * padded, .plane = plane_out,
                                                 .channels = padded, .bias = step->bias + column, .low = step->low,
                                                 .high = step->high, .pixel_stride = out->stride,
                                                 .row_stride = out->width * out->stride};
                transform_output(run, step, place_of(&tiles, t), &back, column);
            }
        }
    }
}
