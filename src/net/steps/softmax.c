/* Softmax over the channels of each row. */
#include "net/step.h"

static void run_all(const cl_run *run, const cl_step *step) {
    static const cl_activation exponential = {.what = CL_EXP};
    const cl_value *out = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *result = cl_value_data(run, step->output);
    for (int64_t p = 0; p < out->rows * run->images; p++, in += out->stride, result += out->stride) {
        float most = in[0];
        for (int64_t c = 1; c < out->channels; c++) most = in[c] > most ? in[c] : most;
        for (int64_t c = 0; c < out->stride; c++) result[c] = c < out->channels ? in[c] - most : 0;
        run->plan->kernels->activate(&exponential, out->stride, result, result);
        double sum = 0;
        for (int64_t c = 0; c < out->channels; c++) sum += (double)result[c];
        for (int64_t c = 0; c < out->stride; c++) result[c] = c < out->channels ? (float)((double)result[c] / sum) : 0;
    }
}

const cl_step_ops cl_step_softmax = {.flags = CL_STEP_ACTIVATES | CL_STEP_BY_ROW, .run = run_all};
