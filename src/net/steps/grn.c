/* Global response normalisation: each channel by its share of the energy of all. Woo and others, ConvNeXt V2:
 * Co-designing and Scaling ConvNets with Masked Autoencoders, 2023. */
#include <math.h>

#include "net/pack.h"

static coulis_status pack(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error) {
    const int64_t stride = cl_step_output(plan, step)->stride;
    coulis_status status = cl_pack_room(step, stride, stride, error);
    for (int64_t c = 0; !status && c < step->node->channels; c++) {
        step->weights[c] = cl_model_weight(model, step->node, CL_SCALE)[c];
        step->bias[c] = cl_model_weight(model, step->node, CL_SHIFT)[c];
    }
    return status;
}

/* A channel's sum of squares, in runs of this many rows that are added up in float64; then its factor. */
#define RUN_ROWS 64

static int64_t scratch(const cl_plan *plan, const cl_step *step) { return 3 * cl_step_output(plan, step)->stride; }

static void image(const cl_run *run, const cl_step *step, const float *in, float *out) {
    const cl_value *value = cl_step_output(run->plan, step);
    const int64_t channels = value->channels, stride = value->stride;
    double *sums = (double *)(void *)cl_scratch(run);
    float *part = cl_scratch(run) + 2 * stride, *factors = part;
    for (int64_t c = 0; c < stride; c++) sums[c] = 0;
    for (int64_t first = 0; first < value->rows; first += RUN_ROWS) {
        const int64_t end = first + RUN_ROWS < value->rows ? first + RUN_ROWS : value->rows;
        for (int64_t c = 0; c < channels; c++) part[c] = 0;
        for (int64_t r = first; r < end; r++)
            for (int64_t c = 0; c < channels; c++) part[c] += in[r * stride + c] * in[r * stride + c];
        for (int64_t c = 0; c < channels; c++) sums[c] += (double)part[c];
    }
    double mean = 0;
    for (int64_t c = 0; c < channels; c++) mean += sqrt(sums[c]);
    mean = mean / (double)channels + step->node->epsilon;
    for (int64_t c = 0; c < stride; c++) {
        const double share = c < channels && mean > 0 ? sqrt(sums[c]) / mean : 0;
        factors[c] = (float)(1 + share * (double)step->weights[c]);
    }
    run->plan->kernels->scale(in, value->rows, stride, factors, step->bias, step->low, step->high, out);
}

static void run_all(const cl_run *run, const cl_step *step) {
    const int64_t size = cl_step_output(run->plan, step)->size;
    for (int64_t p = 0; p < run->images; p++)
        image(run, step, cl_value_data(run, step->inputs[0]) + p * size, cl_value_data(run, step->output) + p * size);
}

const cl_step_ops cl_step_grn = {
    .flags = CL_STEP_CLAMPS | CL_STEP_ACTIVATES,
    .pack = pack,
    .scratch = scratch,
    .run = run_all,
};
