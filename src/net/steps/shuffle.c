/* Channels written as a table of rows, read by columns. */
#include "net/graph_node.h"
#include "net/steps/move.h"

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    const int64_t groups = step->node->groups, columns = from->channels / groups;
    for (int64_t r = 0; r < to->rows * run->images; r++, in += from->stride, out += to->stride)
        for (int64_t row = 0; row < groups; row++)
            for (int64_t c = 0; c < columns; c++) out[c * groups + row] = in[row * columns + c];
    cl_clear_padding(to->rows * run->images, to, cl_value_data(run, step->output));
}

coulis_status cl_read_shuffle(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    coulis_status status = cl_read_whole(r, json, "groups", 1, CL_CHANNELS_MAX, &node->groups);
    if (!status && node->channels % node->groups != 0)
        return cl_refuse(r, "%d groups do not divide %d channels", node->groups, node->channels);
    return status;
}

const cl_step_ops cl_step_shuffle = {.flags = CL_STEP_ACTIVATES, .run = run_all};
