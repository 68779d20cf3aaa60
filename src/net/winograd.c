/* 3x3 convolutions in Winograd's domain: there, back, and 36 products between. */
#include <math.h>
#include <string.h>

#include "net/pack.h"
#include "net/steps.h"

/* Where tile number `tile` of all pictures begins. */
typedef struct place {
    int64_t picture, y, x;
} place;

static place place_of(const cl_value *out, int64_t tile) {
    int64_t across = (out->width + 3) / 4, area = across * ((out->height + 3) / 4);
    return (place){.picture = tile / area, .y = tile % area / across * 4, .x = tile % area % across * 4};
}

/* Brings the 6x6 pixels around one tile into Winograd's domain; `window` is room for 36 pixels. */
static void transform_input(const cl_run *run, const cl_step *step, place at, float *window, int64_t plane,
                            float *planes) {
    const cl_value *in = &run->plan->values[step->input];
    const cl_window *w = &step->node->window;
    const int64_t top = at.y - w->pad_before[0], left = at.x - w->pad_before[1], row = in->width * in->stride;
    const float *data = cl_value_data(run, step->input) + at.picture * in->size;
    if (top >= 0 && left >= 0 && top + 6 <= in->height && left + 6 <= in->width) {
        run->plan->kernels->winograd_input(data + top * row + left * in->stride, row, in->stride, plane, planes);
        return;
    }
    /* At the border: the part that lies inside, among zeros. */
    const int64_t first = left < 0 ? -left : 0, end = left + 6 > in->width ? in->width - left : 6;
    memset(window, 0, (size_t)(36 * in->stride) * sizeof *window);
    for (int64_t y = 0; y < 6 && first < end; y++)
        if (top + y >= 0 && top + y < in->height)
            memcpy(window + (y * 6 + first) * in->stride, data + (top + y) * row + (left + first) * in->stride,
                   (size_t)((end - first) * in->stride) * sizeof *window);
    run->plan->kernels->winograd_input(window, 6 * in->stride, in->stride, plane, planes);
}

void cl_run_winograd(const cl_run *run, const cl_step *step) {
    const cl_plan *plan = run->plan;
    const cl_value *in = &plan->values[step->input], *out = &plan->values[step->output];
    const int64_t tiles = (int64_t)((out->height + 3) / 4) * ((out->width + 3) / 4) * run->pictures;
    const int64_t most = cl_winograd_tiles(in->stride, out->stride), blocks = (tiles + most - 1) / most;
    /* Blocks of equal size: a small last one would fetch all weights, too. */
    const int64_t block = (tiles + blocks - 1) / blocks;
    const int64_t packed = plan->kernels->gemm_packed_count(in->channels, out->channels);
    const float *residual = cl_residual_data(run, step);
    float *window = run->workspace + plan->scratch_offset, *before = window + 36 * in->stride;
    float *after = before + 36 * cl_winograd_plane(block * in->stride), *result = cl_value_data(run, step->output);
    for (int64_t first = 0; first < tiles; first += block) {
        const int64_t count = first + block < tiles ? block : tiles - first;
        const int64_t plane_in = cl_winograd_plane(count * in->stride);
        const int64_t plane_out = cl_winograd_plane(count * out->stride);
        for (int64_t t = 0; t < count; t++)
            transform_input(run, step, place_of(out, first + t), window, plane_in, before + t * in->stride);
        for (int64_t p = 0; p < 36; p++) {
            /* Bias, residual and activation come on the way back. */
            cl_gemm gemm = {.m = count, .k = in->channels, .columns = out->channels, .a = before + p * plane_in,
                            .a_stride = in->stride, .b = step->weights + p * packed, .bias = NULL,
                            .c = after + p * plane_out, .c_stride = out->stride, .low = -INFINITY, .high = INFINITY};
            plan->kernels->gemm(&gemm);
        }
        for (int64_t t = 0; t < count; t++) {
            place at = place_of(out, first + t);
            int64_t offset = at.picture * out->size + (at.y * out->width + at.x) * out->stride;
            cl_winograd_tile tile = {.in = after + t * out->stride, .plane = plane_out, .channels = out->stride,
                                     .bias = step->bias, .residual = residual ? residual + offset : NULL,
                                     .low = step->low, .high = step->high, .out = result + offset,
                                     .row_stride = out->width * out->stride,
                                     .rows = (int32_t)(out->height - at.y), .columns = (int32_t)(out->width - at.x)};
            plan->kernels->winograd_output(&tile);
        }
    }
}
