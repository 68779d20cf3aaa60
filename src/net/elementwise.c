/* What touches each number once, and softmax. */
#include "net/steps.h"

/* `pixels` pixels of one picture. */
static void elementwise(const cl_run *run, const cl_step *step, int64_t pixels, const float *in, const float *other,
                        float *result) {
    const cl_kernels *kernels = run->plan->kernels;
    const cl_value *values = run->plan->values, *out = &values[step->output];
    if (step->kind == CL_STEP_SCALE) {
        kernels->scale(in, pixels, out->stride, step->weights, step->bias, step->low, step->high, result);
        return;
    }
    if (step->kind == CL_STEP_ACTIVATION) {
        kernels->activate(step->activation, step->a, step->b, pixels * out->stride, in, result);
        return;
    }
    const cl_value *a = &values[step->input], *b = &values[step->other];
    const cl_arithmetic arithmetic = {.op = step->node->op == CL_OP_ADD        ? CL_ADD
                                            : step->node->op == CL_OP_SUBTRACT ? CL_SUBTRACT
                                            : step->node->op == CL_OP_MULTIPLY ? CL_MULTIPLY
                                                                               : CL_DIVIDE,
                                      .a = in, .b = other, .a_step = (int64_t)a->height * a->width > 1 ? a->stride : 0,
                                      .b_step = (int64_t)b->height * b->width > 1 ? b->stride : 0,
                                      .pixels = pixels, .channels = out->stride, .low = step->low, .high = step->high,
                                      .out = result};
    kernels->arithmetic(&arithmetic);
}

void cl_run_elementwise(const cl_run *run, const cl_step *step) {
    const cl_value *values = run->plan->values, *out = &values[step->output];
    for (int64_t p = 0; p < run->pictures; p++)
        elementwise(run, step, (int64_t)out->height * out->width,
                    cl_value_data(run, step->input) + p * values[step->input].size,
                    step->other >= 0 ? cl_value_data(run, step->other) + p * values[step->other].size : NULL,
                    cl_value_data(run, step->output) + p * out->size);
}

void cl_run_elementwise_row(const cl_run *run, const cl_step *step, int32_t y) {
    /* Every row of a vector is its only one. */
    elementwise(run, step, run->plan->values[step->output].width, cl_value_row(run, step->input, y),
                step->other >= 0 ? cl_value_row(run, step->other, y) : NULL, cl_value_row(run, step->output, y));
}

void cl_run_activation(const cl_run *run, const cl_step *step, int64_t count, float *data) {
    if (step->activation != CL_ACTIVATION_NONE && step->kind != CL_STEP_ACTIVATION)
        run->plan->kernels->activate(step->activation, step->a, step->b, count, data, data);
}

void cl_run_softmax(const cl_run *run, const cl_step *step) {
    const cl_value *out = &run->plan->values[step->output];
    const float *in = cl_value_data(run, step->input);
    float *result = cl_value_data(run, step->output);
    const int64_t pixels = (int64_t)out->height * out->width * run->pictures;
    for (int64_t p = 0; p < pixels; p++, in += out->stride, result += out->stride) {
        float most = in[0];
        for (int64_t c = 1; c < out->channels; c++) most = in[c] > most ? in[c] : most;
        for (int64_t c = 0; c < out->stride; c++) result[c] = c < out->channels ? in[c] - most : 0;
        run->plan->kernels->activate(CL_EXP, 0, 0, out->stride, result, result);
        double sum = 0;
        for (int64_t c = 0; c < out->channels; c++) sum += (double)result[c];
        for (int64_t c = 0; c < out->stride; c++) result[c] = c < out->channels ? (float)((double)result[c] / sum) : 0;
    }
}
