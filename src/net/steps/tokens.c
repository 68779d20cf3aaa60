/* The pixels of a map as tokens, behind class and register tokens, with position embeddings added. */
#include "net/pack.h"

/* The weights: a row of the result's stride for each token, its own or its position's. */
static coulis_status pack(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error) {
    const cl_value *value = cl_step_output(plan, step);
    const cl_node *node = step->node;
    const float *prefix = cl_model_weight(model, node, CL_PREFIX);
    const float *position = cl_model_weight(model, node, CL_POSITION);
    coulis_status status = cl_pack_room(step, value->rows * value->stride, 1, error);
    if (status) return status;
    const size_t row = (size_t)node->channels * sizeof(float);
    for (int64_t r = 0; r < node->before; r++)
        memcpy(step->weights + r * value->stride, prefix + r * node->channels, row);
    for (int64_t r = node->before; position && r < value->rows; r++, position += node->channels)
        memcpy(step->weights + r * value->stride, position, row);
    return COULIS_OK;
}

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    const int64_t before = step->node->before * to->stride;
    for (int64_t p = 0; p < run->images; p++, in += from->size, out += to->size) {
        memcpy(out, step->weights, (size_t)before * sizeof *out);
        /* Rows without a position have zeros there. */
        for (int64_t i = 0; i < from->size; i++) out[before + i] = in[i] + step->weights[before + i];
    }
}

const cl_step_ops cl_step_tokens = {.flags = CL_STEP_ACTIVATES, .pack = pack, .run = run_all};
