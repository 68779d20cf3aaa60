/* Some of the channels. */
#include "net/graph_node.h"
#include "net/steps/move.h"

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    for (int64_t p = 0; p < run->images; p++, in += from->size, out += to->size) {
        cl_copy_channels(to->rows, to->channels, in + step->node->first, from->stride, out, to->stride);
        cl_clear_padding(to->rows, to, out);
    }
}

coulis_status cl_read_slice(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    coulis_status status = cl_read_whole(r, json, "first", 0, node->channels - 1, &node->first);
    if (status) return status;
    return cl_read_whole(r, json, "channels", 1, node->channels - node->first, &node->channels);
}

const cl_step_ops cl_step_slice = {.flags = CL_STEP_ACTIVATES, .run = run_all};
