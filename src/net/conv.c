/* Convolutions: as a product of gathered patches, or of the map as it lies, or in Winograd's domain, or depthwise. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "net/pack.h"
#include "net/steps.h"

/* memcpy of `count` numbers; the rows of a 3x3 and a 7x7 patch of the picture itself are common and short enough
 * that the call would cost more than the copy. */
static inline void copy_numbers(float *out, const float *in, int64_t count) {
    switch (count) {
    case 9: memcpy(out, in, 9 * sizeof *out); break;
    case 21: memcpy(out, in, 21 * sizeof *out); break;
    default: memcpy(out, in, (size_t)count * sizeof *out); break;
    }
}

/* Copies the patch under one output pixel of one group into `out`, rows of the kernel one after
 * another, zeros for what lies outside. */
static void gather_patch(const cl_value *in, const float *data, const cl_window *w, int64_t first_channel,
                         int64_t channels, int64_t y, int64_t x, float *out) {
    const size_t tap = (size_t)channels * sizeof *out;
    const int64_t top = y * w->stride[0] - w->pad_before[0], left = x * w->stride[1] - w->pad_before[1];
    const bool dense = w->dilation[1] == 1 && in->stride == channels && left >= 0 && left + w->kernel[1] <= in->width;
    for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
        int64_t row = top + ky * w->dilation[0];
        if (row < 0 || row >= in->height) {
            memset(out, 0, tap * (size_t)w->kernel[1]);
            out += channels * w->kernel[1];
            continue;
        }
        const float *line = data + row % in->rows * in->width * in->stride + first_channel;
        if (dense) {
            copy_numbers(out, line + left * in->stride, channels * w->kernel[1]);
            out += channels * w->kernel[1];
            continue;
        }
        for (int64_t kx = 0; kx < w->kernel[1]; kx++, out += channels) {
            int64_t column = left + kx * w->dilation[1];
            if (column < 0 || column >= in->width) memset(out, 0, tap);
            else memcpy(out, line + column * in->stride, tap);
        }
    }
}

/* Output pixels first .. last-1, counted over all pictures, to `result`, where the first of them goes. */
static void conv_pixels(const cl_run *run, const cl_step *step, int64_t first, int64_t last, const float *residual,
                        float *result) {
    const cl_plan *plan = run->plan;
    const cl_kernels *kernels = plan->kernels;
    const cl_value *in = &plan->values[step->input], *out = &plan->values[step->output];
    const cl_window *w = &step->node->window;
    const int64_t channels = in->channels / step->groups, columns = out->channels / step->groups;
    const int64_t padded = (columns + kernels->lanes - 1) / kernels->lanes * kernels->lanes;
    const int64_t depth = (int64_t)w->kernel[0] * w->kernel[1] * channels, block = cl_patch_rows(depth);
    const int64_t packed = kernels->gemm_packed_count(depth, padded), area = (int64_t)out->height * out->width;
    const float *data = cl_value_data(run, step->input);
    float *patches = run->workspace + plan->scratch_offset;
    float *grouped = patches + (block * depth + CL_ALIGNMENT - 1) / CL_ALIGNMENT * CL_ALIGNMENT;
    for (int64_t rows; first < last; first += rows, result += rows * out->stride) {
        rows = first + block < last ? block : last - first;
        for (int64_t g = 0; g < step->groups; g++) {
            int64_t picture = first / area, y = first % area / out->width, x = first % out->width;
            for (int64_t r = 0; r < rows; r++) {
                gather_patch(in, data + picture * in->size, w, g * channels, channels, y, x, patches + r * depth);
                if (++x < out->width) continue;
                x = 0;
                if (++y < out->height) continue;
                y = 0;
                picture++;
            }
            cl_gemm gemm = {.m = rows, .k = depth, .n = padded, .a = patches, .a_stride = depth,
                            .b = step->weights + g * packed, .bias = step->bias + g * padded, .c = result,
                            .c_stride = out->stride, .residual = residual, .residual_stride = out->stride,
                            .low = step->low, .high = step->high};
            if (step->groups == 1) {
                kernels->gemm(&gemm);
                continue;
            }
            /* A group's channels need not begin at a whole register: compute aside, then copy. */
            gemm.c = grouped;
            gemm.c_stride = padded;
            kernels->gemm(&gemm);
            for (int64_t r = 0; r < rows; r++)
                memcpy(result + r * out->stride + g * columns, grouped + r * padded,
                       (size_t)columns * sizeof *grouped);
        }
        if (step->groups > 1 && out->stride > out->channels)
            for (int64_t r = 0; r < rows; r++)
                memset(result + r * out->stride + out->channels, 0,
                       (size_t)(out->stride - out->channels) * sizeof *result);
        if (residual) residual += rows * out->stride;
    }
}

void cl_run_conv(const cl_run *run, const cl_step *step) {
    const cl_value *out = &run->plan->values[step->output];
    conv_pixels(run, step, 0, (int64_t)out->height * out->width * run->pictures, cl_residual_data(run, step),
                cl_value_data(run, step->output));
}

void cl_run_conv_row(const cl_run *run, const cl_step *step, int32_t y) {
    const int64_t width = run->plan->values[step->output].width;
    conv_pixels(run, step, y * width, (y + 1) * width, step->other >= 0 ? cl_value_row(run, step->other, y) : NULL,
                cl_value_row(run, step->output, y));
}

/* `m` pixels of a 1x1 convolution. */
static void pointwise(const cl_run *run, const cl_step *step, int64_t m, const float *in, const float *residual,
                      float *result) {
    const cl_value *from = &run->plan->values[step->input], *to = &run->plan->values[step->output];
    cl_gemm gemm = {.m = m, .k = from->channels, .n = to->stride, .a = in, .a_stride = from->stride,
                    .b = step->weights, .bias = step->bias, .c = result, .c_stride = to->stride,
                    .residual = residual, .residual_stride = to->stride, .low = step->low, .high = step->high};
    run->plan->kernels->gemm(&gemm);
}

void cl_run_pointwise(const cl_run *run, const cl_step *step) {
    const cl_value *out = &run->plan->values[step->output];
    pointwise(run, step, (int64_t)out->height * out->width * run->pictures, cl_value_data(run, step->input),
              cl_residual_data(run, step), cl_value_data(run, step->output));
}

void cl_run_pointwise_row(const cl_run *run, const cl_step *step, int32_t y) {
    pointwise(run, step, run->plan->values[step->output].width, cl_value_row(run, step->input, y),
              step->other >= 0 ? cl_value_row(run, step->other, y) : NULL, cl_value_row(run, step->output, y));
}

void cl_run_depthwise_row(const cl_run *run, const cl_step *step, int32_t picture, int32_t y) {
    const cl_value *in = &run->plan->values[step->input], *out = &run->plan->values[step->output];
    const cl_window *w = &step->node->window;
    const float *rows[CL_KERNEL_MAX];
    for (int32_t ky = 0; ky < w->kernel[0]; ky++) {
        int32_t line = y * w->stride[0] - w->pad_before[0] + ky * w->dilation[0];
        rows[ky] = line < 0 || line >= in->height ? NULL : cl_value_row(run, step->input, line) + picture * in->size;
    }
    const cl_depthwise row = {
        .rows = rows, .channels = in->stride, .input_width = in->width, .output_width = out->width,
        .kernel_height = w->kernel[0], .kernel_width = w->kernel[1], .stride = w->stride[0],
        .dilation = w->dilation[0], .pad_left = w->pad_before[1], .weights = step->weights, .bias = step->bias,
        .low = step->low, .high = step->high, .out = cl_value_row(run, step->output, y) + picture * out->size};
    run->plan->kernels->depthwise_row(&row);
}

void cl_run_depthwise(const cl_run *run, const cl_step *step) {
    for (int32_t p = 0; p < run->pictures; p++)
        for (int32_t y = 0; y < run->plan->values[step->output].height; y++) cl_run_depthwise_row(run, step, p, y);
}

/* Where tile number `tile` of all pictures begins. */
typedef struct place {
    int64_t picture, y, x;
} place;

static place place_of(const cl_value *out, int64_t tile) {
    int64_t across = (out->width + 3) / 4, area = across * ((out->height + 3) / 4);
    return (place){.picture = tile / area, .y = tile % area / across * 4, .x = tile % area % across * 4};
}

/* Brings the 6x6 pixels around one tile into Winograd's domain. */
static void transform_input(const cl_run *run, const cl_step *step, place at, const float *zeros, int64_t plane,
                            float *planes) {
    const cl_value *in = &run->plan->values[step->input];
    const cl_window *w = &step->node->window;
    const float *data = cl_value_data(run, step->input) + at.picture * in->size;
    const float *pixels[36];
    for (int64_t i = 0; i < 36; i++) {
        int64_t y = at.y - w->pad_before[0] + i / 6, x = at.x - w->pad_before[1] + i % 6;
        bool inside = y >= 0 && y < in->height && x >= 0 && x < in->width;
        pixels[i] = inside ? data + (y * in->width + x) * in->stride : zeros;
    }
    run->plan->kernels->winograd_input(pixels, in->stride, plane, planes);
}

void cl_run_winograd(const cl_run *run, const cl_step *step) {
    const cl_plan *plan = run->plan;
    const cl_value *in = &plan->values[step->input], *out = &plan->values[step->output];
    const int64_t block = cl_winograd_tiles(in->stride, out->stride);
    const int64_t tiles = (int64_t)((out->height + 3) / 4) * ((out->width + 3) / 4) * run->pictures;
    const int64_t packed = plan->kernels->gemm_packed_count(in->channels, out->stride);
    const float *residual = cl_residual_data(run, step);
    float *zeros = run->workspace + plan->scratch_offset, *before = zeros + in->stride;
    float *after = before + 36 * block * in->stride, *result = cl_value_data(run, step->output);
    memset(zeros, 0, (size_t)in->stride * sizeof *zeros);
    for (int64_t first = 0; first < tiles; first += block) {
        const int64_t count = first + block < tiles ? block : tiles - first;
        const int64_t plane_in = count * in->stride, plane_out = count * out->stride;
        for (int64_t t = 0; t < count; t++)
            transform_input(run, step, place_of(out, first + t), zeros, plane_in, before + t * in->stride);
        for (int64_t p = 0; p < 36; p++) {
            /* Bias, residual and activation come on the way back. */
            cl_gemm gemm = {.m = count, .k = in->channels, .n = out->stride, .a = before + p * plane_in,
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
