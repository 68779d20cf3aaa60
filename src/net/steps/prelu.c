/* A leaky ReLU with a slope for each channel. */
#include "net/pack.h"

static coulis_status pack(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error) {
    coulis_status status = cl_pack_room(step, cl_step_output(plan, step)->stride, 1, error);
    for (int64_t c = 0; !status && c < step->node->channels; c++)
        step->weights[c] = cl_model_weight(model, step->node, CL_SLOPE)[c];
    return status;
}

static void rows(const cl_step *step, int64_t count, int64_t stride, const float *in, float *out) {
    for (int64_t r = 0; r < count; r++, in += stride, out += stride)
        for (int64_t c = 0; c < stride; c++) out[c] = in[c] < 0 ? in[c] * step->weights[c] : in[c];
}

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *value = cl_step_output(run->plan, step);
    rows(step, value->rows * run->images, value->stride, cl_value_data(run, step->inputs[0]),
         cl_value_data(run, step->output));
}

static void run_lines(const cl_run *run, const cl_step *step, int32_t y, int32_t end) {
    const cl_value *value = cl_step_output(run->plan, step);
    for (; y < end; y++)
        rows(step, value->width, value->stride, cl_value_line(run, step->inputs[0], y),
             cl_value_line(run, step->output, y));
}

const cl_step_ops cl_step_prelu = {
    .name = "prelu",
    .flags = CL_STEP_ACTIVATES,
    .pack = pack,
    .run = run_all,
    .run_lines = run_lines,
};
