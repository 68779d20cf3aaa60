/* Some of the rows: a token, or the tokens of the patches. */
#include "net/step.h"

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]) + step->node->first * from->stride;
    float *out = cl_value_data(run, step->output);
    for (int64_t p = 0; p < run->images; p++)
        memcpy(out + p * to->size, in + p * from->size, (size_t)to->size * sizeof *out);
}

const cl_step_ops cl_step_take = {.flags = CL_STEP_ACTIVATES, .run = run_all};
