/* The channels of several values one after another. */
#include "net/steps/move.h"

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *to = cl_step_output(run->plan, step);
    for (int64_t p = 0; p < run->pictures; p++) {
        float *out = cl_value_data(run, step->output) + p * to->size;
        int64_t filled = 0;
        for (int32_t i = 0; i < step->input_count; i++) {
            const cl_value *from = &run->plan->values[step->inputs[i]];
            cl_copy_channels(to->rows, from->channels, cl_value_data(run, step->inputs[i]) + p * from->size,
                             from->stride, out + filled, to->stride);
            filled += from->channels;
        }
        cl_clear_padding(to->rows, to, out);
    }
}

static bool accepts(const cl_graph *graph, const cl_node *node) {
    (void)graph;
    return node->op == CL_OP_CONCAT;
}

const cl_step_ops cl_step_concat = {.name = "concat", .flags = CL_STEP_ACTIVATES, .accepts = accepts, .run = run_all};
