/* A vector of all numbers, without what pads their channels. */
#include "net/steps/move.h"

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    for (int64_t p = 0; p < run->pictures; p++, in += from->size, out += to->size) {
        cl_copy_channels(from->rows, from->channels, in, from->stride, out, from->channels);
        cl_clear_padding(1, to, out);
    }
}

static bool accepts(const cl_graph *graph, const cl_node *node) {
    (void)graph;
    return node->op == CL_OP_FLATTEN;
}

const cl_step_ops cl_step_flatten = {.name = "flatten", .flags = CL_STEP_ACTIVATES, .accepts = accepts, .run = run_all};
