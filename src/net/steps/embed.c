/* Tokens of a text to their embeddings: a row of the table for each, with the embedding of its place added. */
#include "net/pack.h"

static coulis_status pack(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error) {
    const cl_value *value = cl_step_output(plan, step);
    const float *position = cl_model_weight(model, step->node, CL_POSITION);
    step->table = cl_model_weight(model, step->node, CL_WEIGHT);
    coulis_status status = cl_pack_room(step, value->rows * value->stride, 1, error);
    if (status) return status;
    for (int64_t r = 0; position && r < value->rows; r++)
        memcpy(step->weights + r * value->stride, position + r * value->channels,
               (size_t)value->channels * sizeof *position);
    return COULIS_OK;
}

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    for (int64_t p = 0; p < run->images; p++, in += from->size, out += to->size) {
        for (int64_t r = 0; r < to->rows; r++) {
            const float *bytes = in + r * from->stride; /* whole numbers from 0 to 255 */
            const int64_t token = (int64_t)bytes[0] + (int64_t)bytes[1] * 256 + (int64_t)bytes[2] * 65536;
            const float *row = step->table + token * to->channels;
            for (int64_t c = 0; c < to->channels; c++)
                out[r * to->stride + c] = row[c] + step->weights[r * to->stride + c];
        }
        cl_clear_padding(to->rows, to, out);
    }
}

const cl_step_ops cl_step_embed = {.flags = CL_STEP_ACTIVATES, .pack = pack, .run = run_all};
