/* The image as a map like any other, for what can't read it as it is. */
#include "net/steps/move.h"

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    for (int64_t p = 0; p < run->images; p++, in += from->size, out += to->size) {
        cl_copy_channels(to->rows, to->channels, in, from->stride, out, to->stride);
        cl_clear_padding(to->rows, to, out);
    }
}

const cl_step_ops cl_step_image = {.flags = 0, .run = run_all};
