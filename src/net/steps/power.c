/* A power of each number, as in generalised mean pooling. */
#include "net/graph_node.h"
#include "net/step.h"
#include "net/steps/power.h"

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *value = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    for (int64_t r = 0; r < value->rows * run->images; r++, in += value->stride, out += value->stride) {
        for (int64_t c = 0; c < value->channels; c++) out[c] = (float)cl_power((double)in[c], step->node->exponent);
        for (int64_t c = value->channels; c < value->stride; c++) out[c] = 0;
    }
}

coulis_status cl_read_power(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    return cl_read_number(r, json, "exponent", false, 1e-3, 1e3, &node->exponent);
}

const cl_step_ops cl_step_power = {.flags = CL_STEP_ACTIVATES | CL_STEP_BY_ROW, .run = run_all};
