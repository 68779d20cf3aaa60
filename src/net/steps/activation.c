/* An activation that could not be fused. */
#include "net/graph_node.h"
#include "net/step.h"

static void rows(const cl_run *run, const cl_step *step, int64_t count, const float *in, float *out) {
    run->plan->kernels->activate(&step->activation, count * cl_step_output(run->plan, step)->stride, in, out);
}

static void lower(const cl_plan *plan, cl_step *step) {
    (void)plan;
    const cl_node *node = step->node;
    switch (node->op) {
    case CL_OP_LEAKY_RELU: step->activation = (cl_activation){CL_LEAKY_RELU, (float)node->slope, 0}; break;
    case CL_OP_SIGMOID: step->activation.what = CL_SIGMOID; break;
    case CL_OP_HARD_SIGMOID:
        step->activation = (cl_activation){CL_HARD_SIGMOID, (float)node->hard.alpha, (float)node->hard.beta};
        break;
    case CL_OP_SWISH: step->activation.what = CL_SWISH; break;
    case CL_OP_TANH: step->activation.what = CL_TANH; break;
    case CL_OP_GELU:
        step->activation.what = node->form == CL_FORM_ERF    ? CL_GELU_ERF
                                : node->form == CL_FORM_TANH ? CL_GELU_TANH
                                                             : CL_GELU_QUICK;
        break;
    default: step->activation = (cl_activation){CL_HARD_SWISH, (float)(1.0 / 6), 0.5f}; break;
    }
}

coulis_status cl_read_leaky(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    return cl_read_any_number(r, json, "slope", false, &node->slope);
}

coulis_status cl_read_hard(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    coulis_status status = cl_read_any_number(r, json, "alpha", false, &node->hard.alpha);
    return status ? status : cl_read_any_number(r, json, "beta", false, &node->hard.beta);
}

coulis_status cl_read_gelu(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    static const char *const forms[] = {[CL_FORM_ERF] = "erf", [CL_FORM_TANH] = "tanh", [CL_FORM_QUICK] = "quick"};
    const char *form = cl_json_text(json, "form");
    for (int i = 0; form && i < 3; i++) {
        if (strcmp(form, forms[i]) != 0) continue;
        node->form = (cl_gelu)i;
        return COULIS_OK;
    }
    return cl_refuse(r, "'form' must be \"erf\", \"tanh\" or \"quick\"");
}

const cl_step_ops cl_step_activation = {
    .flags = CL_STEP_ACTIVE | CL_STEP_BY_ROW,
    .lower = lower,
    .rows = rows,
    .run = cl_run_rows,
    .run_lines = cl_run_row_lines,
};
