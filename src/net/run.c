/* Runs a plan: one step after the other over one workspace. */
#include <string.h>

#include "base/memory.h"
#include "net/pack.h"
#include "net/plan.h"

/* The pixels of a pooling window at most. */
#define WINDOW_MAX (CL_KERNEL_MAX * CL_KERNEL_MAX)

static void normalize(const cl_plan *plan, const uint8_t *rgb, float *out) {
    int64_t pixels = (int64_t)plan->values[0].height * plan->values[0].width;
    int first = plan->bgr ? 2 : 0, last = 2 - first;
    for (int64_t i = 0; i < pixels; i++, rgb += 3, out += 3) {
        out[0] = plan->pixel[0][rgb[first]];
        out[1] = plan->pixel[1][rgb[1]];
        out[2] = plan->pixel[2][rgb[last]];
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
        const float *line = data + row * in->width * in->stride + first_channel;
        if (dense) {
            memcpy(out, line + left * in->stride, tap * (size_t)w->kernel[1]);
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

static void run_conv(const cl_plan *plan, const cl_step *step, float *workspace) {
    const cl_kernels *kernels = plan->kernels;
    const cl_value *in = &plan->values[step->input], *out = &plan->values[step->output];
    const cl_window *w = &step->node->window;
    const int64_t channels = in->channels / step->groups, columns = out->channels / step->groups;
    const int64_t padded = (columns + kernels->lanes - 1) / kernels->lanes * kernels->lanes;
    const int64_t depth = (int64_t)w->kernel[0] * w->kernel[1] * channels, block = cl_patch_rows(depth);
    const int64_t packed = kernels->gemm_packed_count(depth, padded);
    const int64_t pixels = (int64_t)out->height * out->width;
    float *patches = workspace + plan->scratch_offset;
    float *grouped = patches + (block * depth + CL_ALIGNMENT - 1) / CL_ALIGNMENT * CL_ALIGNMENT;
    const float *residual = step->other >= 0 ? workspace + plan->values[step->other].offset : NULL;
    float *result = workspace + out->offset;
    for (int64_t first = 0; first < pixels; first += block) {
        const int64_t rows = first + block < pixels ? block : pixels - first;
        for (int64_t g = 0; g < step->groups; g++) {
            for (int64_t r = 0; r < rows; r++)
                gather_patch(in, workspace + in->offset, w, g * channels, channels, (first + r) / out->width,
                             (first + r) % out->width, patches + r * depth);
            cl_gemm gemm = {.m = rows, .k = depth, .n = padded, .a = patches, .a_stride = depth,
                            .b = step->weights + g * packed, .bias = step->bias + g * padded,
                            .c = result + first * out->stride, .c_stride = out->stride,
                            .residual = residual ? residual + first * out->stride : NULL,
                            .residual_stride = out->stride, .low = step->low, .high = step->high};
            if (step->groups == 1) {
                kernels->gemm(&gemm);
                continue;
            }
            /* A group's channels need not begin at a whole register: compute aside, then copy. */
            gemm.c = grouped;
            gemm.c_stride = padded;
            kernels->gemm(&gemm);
            for (int64_t r = 0; r < rows; r++)
                memcpy(result + (first + r) * out->stride + g * columns, grouped + r * padded,
                       (size_t)columns * sizeof *grouped);
        }
        if (step->groups > 1 && out->stride > out->channels)
            for (int64_t r = 0; r < rows; r++)
                memset(result + (first + r) * out->stride + out->channels, 0,
                       (size_t)(out->stride - out->channels) * sizeof *result);
    }
}

static void run_pointwise(const cl_plan *plan, const cl_step *step, float *workspace) {
    const cl_value *in = &plan->values[step->input], *out = &plan->values[step->output];
    cl_gemm gemm = {.m = (int64_t)out->height * out->width, .k = in->channels, .n = out->stride,
                    .a = workspace + in->offset, .a_stride = in->stride, .b = step->weights, .bias = step->bias,
                    .c = workspace + out->offset, .c_stride = out->stride,
                    .residual = step->other >= 0 ? workspace + plan->values[step->other].offset : NULL,
                    .residual_stride = out->stride, .low = step->low, .high = step->high};
    plan->kernels->gemm(&gemm);
}

static void run_depthwise(const cl_plan *plan, const cl_step *step, float *workspace) {
    const cl_value *in = &plan->values[step->input], *out = &plan->values[step->output];
    const cl_window *w = &step->node->window;
    const float *rows[CL_KERNEL_MAX];
    cl_depthwise row = {.rows = rows, .channels = in->stride, .input_width = in->width, .output_width = out->width,
                        .kernel_height = w->kernel[0], .kernel_width = w->kernel[1], .stride = w->stride[0],
                        .dilation = w->dilation[0], .pad_left = w->pad_before[1], .weights = step->weights,
                        .bias = step->bias, .low = step->low, .high = step->high};
    for (int64_t y = 0; y < out->height; y++) {
        for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
            int64_t line = y * w->stride[0] - w->pad_before[0] + ky * w->dilation[0];
            rows[ky] = line < 0 || line >= in->height ? NULL
                                                      : workspace + in->offset + line * in->width * in->stride;
        }
        row.out = workspace + out->offset + y * out->width * out->stride;
        plan->kernels->depthwise_row(&row);
    }
}

/* The whole map for a global pooling, else the step's window. */
static cl_window pooling_window(const cl_step *step, const cl_value *in) {
    if (step->node->op != CL_OP_GLOBAL_AVERAGE_POOL) return step->node->window;
    return (cl_window){.kernel = {in->height, in->width}, .stride = {1, 1}, .dilation = {1, 1}};
}

static void run_pool(const cl_plan *plan, const cl_step *step, float *workspace) {
    const cl_value *in = &plan->values[step->input], *out = &plan->values[step->output];
    const cl_window w = pooling_window(step, in);
    const float *data = workspace + in->offset;
    const float *pixels[WINDOW_MAX];
    for (int64_t y = 0; y < out->height; y++) {
        for (int64_t x = 0; x < out->width; x++) {
            float *result = workspace + out->offset + (y * out->width + x) * out->stride;
            int64_t count = 0, inside = 0, padded = (int64_t)w.kernel[0] * w.kernel[1];
            for (int64_t ky = 0; ky < w.kernel[0]; ky++) {
                int64_t row = y * w.stride[0] - w.pad_before[0] + ky * w.dilation[0];
                for (int64_t kx = 0; kx < w.kernel[1] && row >= 0 && row < in->height; kx++) {
                    int64_t column = x * w.stride[1] - w.pad_before[1] + kx * w.dilation[1];
                    if (column >= 0 && column < in->width)
                        pixels[count++] = data + (row * in->width + column) * in->stride;
                }
            }
            inside = count;
            if (step->kind == CL_STEP_MAX_POOL) {
                plan->kernels->maximum(pixels, count, in->stride, result);
            } else {
                float factor = 1.0f / (float)(step->node->count_padding ? padded : inside);
                plan->kernels->sum(pixels, count, in->stride, factor, result);
            }
        }
    }
}

static void run_elementwise(const cl_plan *plan, const cl_step *step, float *workspace) {
    const cl_value *in = &plan->values[step->input], *out = &plan->values[step->output];
    int64_t pixels = (int64_t)out->height * out->width;
    float *result = workspace + out->offset;
    if (step->kind == CL_STEP_ADD)
        plan->kernels->add(workspace + in->offset, workspace + plan->values[step->other].offset, pixels * out->stride,
                           step->low, step->high, result);
    else
        plan->kernels->scale(workspace + in->offset, pixels, out->stride, step->weights, step->bias, step->low,
                             step->high, result);
}

void cl_plan_run(const cl_plan *plan, const uint8_t *rgb, float *workspace, float *out) {
    normalize(plan, rgb, workspace + plan->values[0].offset);
    for (int32_t s = 0; s < plan->step_count; s++) {
        const cl_step *step = &plan->steps[s];
        switch (step->kind) {
        case CL_STEP_CONV: run_conv(plan, step, workspace); break;
        case CL_STEP_POINTWISE: run_pointwise(plan, step, workspace); break;
        case CL_STEP_DEPTHWISE: run_depthwise(plan, step, workspace); break;
        case CL_STEP_MAX_POOL:
        case CL_STEP_AVERAGE_POOL: run_pool(plan, step, workspace); break;
        case CL_STEP_SCALE:
        case CL_STEP_ADD: run_elementwise(plan, step, workspace); break;
        }
    }
    const cl_value *result = &plan->values[plan->output];
    for (int64_t p = 0; p < (int64_t)result->height * result->width; p++)
        memcpy(out + p * result->channels, workspace + result->offset + p * result->stride,
               (size_t)result->channels * sizeof *out);
}
