/* Each number of a row divided by what the squares of its row come to: of all channels, or of those around it. Sums are
 * made one after another in float64. */
#include <math.h>

#include "net/graph_node.h"
#include "net/step.h"
#include "net/steps/power.h"

static void l2_norm(const cl_node *node, const float *in, float *out) {
    double sum = 0;
    for (int32_t c = 0; c < node->channels; c++) sum += (double)in[c] * (double)in[c];
    const double root = sqrt(sum), by = root > node->epsilon ? root : node->epsilon;
    for (int32_t c = 0; c < node->channels; c++) out[c] = by > 0 ? (float)((double)in[c] / by) : 0;
}

static void local_response_norm(const cl_node *node, const float *in, float *out) {
    const int32_t before = (node->local.size - 1) / 2, after = node->local.size - 1 - before;
    for (int32_t c = 0; c < node->channels; c++) {
        const int32_t first = c > before ? c - before : 0;
        const int32_t last = c + after < node->channels ? c + after : node->channels - 1;
        double sum = 0;
        for (int32_t i = first; i <= last; i++) sum += (double)in[i] * (double)in[i];
        const double base = node->local.bias + node->local.alpha / node->local.size * sum;
        out[c] = (float)((double)in[c] * cl_power(base, -node->local.beta));
    }
}

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *value = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    for (int64_t r = 0; r < value->rows * run->images; r++, in += value->stride, out += value->stride) {
        if (step->node->op == CL_OP_L2_NORM) l2_norm(step->node, in, out);
        else local_response_norm(step->node, in, out);
        for (int64_t c = value->channels; c < value->stride; c++) out[c] = 0;
    }
}

coulis_status cl_read_local(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    coulis_status status = cl_read_whole(r, json, "size", 1, CL_KERNEL_MAX, &node->local.size);
    if (!status) status = cl_read_number(r, json, "alpha", false, 0, 1e6, &node->local.alpha);
    if (!status) status = cl_read_number(r, json, "beta", false, 1e-3, 1e3, &node->local.beta);
    return status ? status : cl_read_number(r, json, "bias", false, 1e-6, 1e6, &node->local.bias);
}

const cl_step_ops cl_step_row_norm = {.flags = CL_STEP_ACTIVATES | CL_STEP_BY_ROW, .run = run_all};
