/* A normalisation or clamp that could not be fused: each channel times a number, plus a number. */
#include <math.h>

#include "net/graph_node.h"
#include "net/pack.h"

static coulis_status pack(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error) {
    int64_t stride = cl_step_output(plan, step)->stride;
    coulis_status status = cl_pack_room(step, stride, stride, error);
    if (status) return status;
    const cl_node *norm = cl_is_norm(step->node) ? step->node : NULL;
    for (int64_t c = 0; c < step->node->channels; c++) {
        double scale, shift;
        cl_pack_fold(model, norm, c, &scale, &shift);
        step->weights[c] = (float)scale;
        step->bias[c] = (float)shift;
    }
    return COULIS_OK;
}

static void rows(const cl_run *run, const cl_step *step, int64_t count, const float *in, float *out) {
    run->plan->kernels->scale(in, count, cl_step_output(run->plan, step)->stride, step->weights, step->bias, step->low,
                              step->high, out);
}

static void lower(const cl_plan *plan, cl_step *step) {
    (void)plan;
    const cl_node *node = step->node;
    if (cl_is_norm(node)) return;
    step->low = node->op == CL_OP_CLIP ? (float)node->clip.low : 0;
    step->high = node->op == CL_OP_CLIP ? (float)node->clip.high : node->op == CL_OP_RELU6 ? 6 : INFINITY;
}

coulis_status cl_read_clip(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    node->clip.low = -INFINITY;
    node->clip.high = INFINITY;
    coulis_status status = cl_read_any_number(r, json, "low", true, &node->clip.low);
    if (!status) status = cl_read_any_number(r, json, "high", true, &node->clip.high);
    if (!status && node->clip.low > node->clip.high) return cl_refuse(r, "'low' is more than 'high'");
    return status;
}

const cl_step_ops cl_step_scale = {
    .flags = CL_STEP_CLAMPS | CL_STEP_ACTIVATES | CL_STEP_BY_ROW,
    .lower = lower,
    .pack = pack,
    .rows = rows,
    .run = cl_run_rows,
    .run_lines = cl_run_row_lines,
};
