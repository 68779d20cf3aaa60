/* Poolings, and what touches each number once. */
#include "net/steps.h"

/* The pixels of a pooling window at most. */
#define WINDOW_MAX (CL_KERNEL_MAX * CL_KERNEL_MAX)

/* The whole map for a global pooling, else the step's window. */
static cl_window pooling_window(const cl_step *step, const cl_value *in) {
    if (step->node->op != CL_OP_GLOBAL_AVERAGE_POOL) return step->node->window;
    return (cl_window){.kernel = {in->height, in->width}, .stride = {1, 1}, .dilation = {1, 1}};
}

static void pool_picture(const cl_plan *plan, const cl_step *step, const float *data, float *results) {
    const cl_value *in = &plan->values[step->input], *out = &plan->values[step->output];
    const cl_window w = pooling_window(step, in);
    const float *pixels[WINDOW_MAX];
    for (int64_t y = 0; y < out->height; y++) {
        for (int64_t x = 0; x < out->width; x++) {
            float *result = results + (y * out->width + x) * out->stride;
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

void cl_run_pool(const cl_run *run, const cl_step *step) {
    const cl_plan *plan = run->plan;
    for (int64_t p = 0; p < run->pictures; p++)
        pool_picture(plan, step, cl_value_data(run, step->input) + p * plan->values[step->input].size,
                     cl_value_data(run, step->output) + p * plan->values[step->output].size);
}

void cl_run_elementwise(const cl_run *run, const cl_step *step) {
    const cl_kernels *kernels = run->plan->kernels;
    const cl_value *out = &run->plan->values[step->output];
    const int64_t pixels = (int64_t)out->height * out->width * run->pictures;
    const float *in = cl_value_data(run, step->input);
    float *result = cl_value_data(run, step->output);
    if (step->kind == CL_STEP_ADD)
        kernels->add(in, cl_residual_data(run, step), pixels * out->stride, step->low, step->high, result);
    else
        kernels->scale(in, pixels, out->stride, step->weights, step->bias, step->low, step->high, result);
}
