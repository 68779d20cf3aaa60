/* Layer normalisation over the channels of each row. */
#include "net/pack.h"

static coulis_status pack(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error) {
    const int64_t stride = cl_step_output(plan, step)->stride;
    const float *scale = cl_model_weight(model, step->node, CL_SCALE);
    const float *shift = cl_model_weight(model, step->node, CL_SHIFT);
    coulis_status status = cl_pack_room(step, stride, stride, error);
    for (int64_t c = 0; !status && c < step->node->channels; c++) {
        step->weights[c] = scale ? scale[c] : 1;
        step->bias[c] = shift ? shift[c] : 0;
    }
    return status;
}

static void rows(const cl_run *run, const cl_step *step, int64_t count, const float *in, float *out) {
    const cl_value *value = cl_step_output(run->plan, step);
    run->plan->kernels->layer_norm(&(cl_layer_norm){.rows = count,
                                                    .channels = value->channels,
                                                    .stride = value->stride,
                                                    .epsilon = step->node->epsilon,
                                                    .in = in,
                                                    .scale = step->weights,
                                                    .shift = step->bias,
                                                    .out = out});
}

const cl_step_ops cl_step_layer_norm = {
    .flags = CL_STEP_ACTIVATES | CL_STEP_BY_ROW,
    .pack = pack,
    .rows = rows,
    .run = cl_run_rows,
    .run_lines = cl_run_row_lines,
};
