/* A border around a map. */
#include "net/steps/move.h"

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    const int64_t top = step->node->window.pad_before[0], left = step->node->window.pad_before[1];
    const int64_t line = (int64_t)to->width * to->stride;
    for (int64_t p = 0; p < run->images; p++, in += from->size, out += to->size) {
        for (int64_t i = 0; i < to->height * line; i++) out[i] = (float)step->node->value;
        for (int64_t y = 0; y < from->height; y++)
            cl_copy_channels(1, from->width * from->stride, in + y * from->width * from->stride, 0,
                             out + (top + y) * line + left * to->stride, 0);
    }
}

const cl_step_ops cl_step_pad = {.flags = CL_STEP_ACTIVATES, .run = run_all};
