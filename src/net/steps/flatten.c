/* A vector of all numbers, without what pads their channels. */
#include "net/graph_node.h"
#include "net/steps/move.h"

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    for (int64_t p = 0; p < run->images; p++, in += from->size, out += to->size) {
        cl_copy_channels(from->rows, from->channels, in, from->stride, out, from->channels);
        cl_clear_padding(1, to, out);
    }
}

coulis_status cl_read_flatten(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)json;
    (void)graph;
    int64_t count = (int64_t)node->height * node->width * node->channels;
    if (count > CL_VECTOR_MAX) return cl_refuse(r, "a vector of more than %d numbers", CL_VECTOR_MAX);
    node->channels = (int32_t)count;
    node->height = node->width = 1;
    return COULIS_OK;
}

const cl_step_ops cl_step_flatten = {.flags = CL_STEP_ACTIVATES, .run = run_all};
