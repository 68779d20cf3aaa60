/* A leaky ReLU with a slope for each channel. */
#include "net/pack.h"

static coulis_status pack(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error) {
    coulis_status status = cl_pack_room(step, cl_step_output(plan, step)->stride, 1, error);
    for (int64_t c = 0; !status && c < step->node->channels; c++)
        step->weights[c] = cl_model_weight(model, step->node, CL_SLOPE)[c];
    return status;
}

static void rows(const cl_run *run, const cl_step *step, int64_t count, const float *in, float *out) {
    const int64_t stride = cl_step_output(run->plan, step)->stride;
    for (int64_t r = 0; r < count; r++, in += stride, out += stride)
        for (int64_t c = 0; c < stride; c++) out[c] = in[c] < 0 ? in[c] * step->weights[c] : in[c];
}

const cl_step_ops cl_step_prelu = {
    .flags = CL_STEP_ACTIVATES | CL_STEP_BY_ROW,
    .pack = pack,
    .rows = rows,
    .run = cl_run_rows,
    .run_lines = cl_run_row_lines,
};
