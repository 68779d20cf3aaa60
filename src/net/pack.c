#include "net/pack.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"

/* What a folded normalisation does to channel c: y = scale * x + shift, in float64. */
static void fold_channel(const coulis_model *model, const cl_node *norm, int64_t c, double *scale, double *shift) {
    *scale = 1;
    *shift = 0;
    if (!norm) return;
    const float *gamma = cl_model_weight(model, norm, CL_SCALE), *beta = cl_model_weight(model, norm, CL_SHIFT);
    const float *mean = cl_model_weight(model, norm, CL_MEAN), *variance = cl_model_weight(model, norm, CL_VARIANCE);
    *scale = (double)gamma[c] / sqrt((double)variance[c] + norm->epsilon);
    *shift = (double)beta[c] - (double)mean[c] * *scale;
}

/* Memory for `weights` and `bias` numbers, zeroed. */
static coulis_status make_room(cl_step *step, int64_t weights, int64_t bias, coulis_error *error) {
    step->weights = cl_alloc_zero((size_t)weights, sizeof(float));
    step->bias = cl_alloc_zero((size_t)bias, sizeof(float));
    if (step->weights && step->bias) return COULIS_OK;
    return cl_fail_memory(error, "packed weights", ((size_t)weights + (size_t)bias) * sizeof(float));
}

static float bias_of(const coulis_model *model, const cl_node *node, int64_t c, double scale, double shift) {
    const float *bias = cl_model_weight(model, node, CL_BIAS);
    return (float)((bias ? (double)bias[c] : 0.0) * scale + shift);
}

static coulis_status pack_depthwise(const cl_plan *plan, const coulis_model *model, const cl_fold *fold, cl_step *step,
                                    coulis_error *error) {
    const cl_node *node = step->node;
    int64_t stride = plan->values[step->output].stride;
    int64_t taps = (int64_t)node->window.kernel[0] * node->window.kernel[1];
    coulis_status status = make_room(step, taps * stride, stride, error);
    if (status != COULIS_OK) return status;
    const float *weight = cl_model_weight(model, node, CL_WEIGHT); /* channel, 1, height, width */
    for (int64_t c = 0; c < node->channels; c++) {
        double scale, shift;
        fold_channel(model, fold->norm, c, &scale, &shift);
        for (int64_t t = 0; t < taps; t++) step->weights[t * stride + c] = (float)(weight[c * taps + t] * scale);
        step->bias[c] = bias_of(model, node, c, scale, shift);
    }
    return COULIS_OK;
}

/* A convolution as a matrix product: row (ky, kx, input channel), column output channel. A dense layer
 * is the same with one tap. */
static coulis_status pack_matrix(const cl_plan *plan, const coulis_model *model, const cl_fold *fold, cl_step *step,
                                 coulis_error *error) {
    const cl_node *node = step->node;
    const cl_kernels *kernels = plan->kernels;
    int64_t groups = step->groups, columns = node->channels / groups;
    int64_t padded = (columns + kernels->lanes - 1) / kernels->lanes * kernels->lanes;
    int64_t inputs = plan->values[step->input].channels / groups;
    int64_t taps = node->op == CL_OP_CONV ? (int64_t)node->window.kernel[0] * node->window.kernel[1] : 1;
    int64_t depth = taps * inputs;
    int64_t packed = kernels->gemm_packed_count(depth, padded);
    coulis_status status = make_room(step, groups * packed, groups * padded, error);
    if (status != COULIS_OK) return status;
    float *matrix = cl_alloc((size_t)(depth * columns), sizeof *matrix);
    if (!matrix) return cl_fail_memory(error, "packed weights", (size_t)(depth * columns) * sizeof *matrix);
    const float *weight = cl_model_weight(model, node, CL_WEIGHT); /* output, input, height, width */
    for (int64_t g = 0; g < groups; g++) {
        for (int64_t column = 0; column < columns; column++) {
            int64_t c = g * columns + column;
            double scale, shift;
            fold_channel(model, fold->norm, c, &scale, &shift);
            for (int64_t i = 0; i < inputs; i++)
                for (int64_t t = 0; t < taps; t++)
                    matrix[(t * inputs + i) * columns + column] =
                        (float)(weight[(c * inputs + i) * taps + t] * scale);
            step->bias[g * padded + column] = bias_of(model, node, c, scale, shift);
        }
        kernels->gemm_pack(depth, padded, columns, matrix, columns, 1, step->weights + g * packed);
    }
    cl_free(matrix);
    return COULIS_OK;
}

/* A normalisation or activation of its own: scale, then shift. */
static coulis_status pack_scale(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error) {
    int64_t stride = plan->values[step->output].stride;
    coulis_status status = make_room(step, stride, stride, error);
    if (status != COULIS_OK) return status;
    const cl_node *norm = step->node->op == CL_OP_BATCH_NORM ? step->node : NULL;
    for (int64_t c = 0; c < step->node->channels; c++) {
        double scale, shift;
        fold_channel(model, norm, c, &scale, &shift);
        step->weights[c] = (float)scale;
        step->bias[c] = (float)shift;
    }
    return COULIS_OK;
}

coulis_status cl_step_pack(const cl_plan *plan, const coulis_model *model, const cl_fold *fold, cl_step *step,
                           coulis_error *error) {
    switch (step->kind) {
    case CL_STEP_CONV:
    case CL_STEP_POINTWISE: return pack_matrix(plan, model, fold, step, error);
    case CL_STEP_DEPTHWISE: return pack_depthwise(plan, model, fold, step, error);
    case CL_STEP_SCALE: return pack_scale(plan, model, step, error);
    case CL_STEP_ADD:
    case CL_STEP_MAX_POOL:
    case CL_STEP_AVERAGE_POOL: break;
    }
    return COULIS_OK;
}

int64_t cl_step_scratch_count(const cl_plan *plan, const cl_step *step) {
    if (step->kind != CL_STEP_CONV) return 0;
    const cl_window *w = &step->node->window;
    int64_t columns = step->node->channels / step->groups, lanes = plan->kernels->lanes;
    int64_t depth = (int64_t)w->kernel[0] * w->kernel[1] * (plan->values[step->input].channels / step->groups);
    int64_t rows = cl_patch_rows(depth);
    int64_t grouped = step->groups > 1 ? rows * ((columns + lanes - 1) / lanes * lanes) : 0;
    return rows * depth + CL_ALIGNMENT + grouped;
}

int64_t cl_patch_rows(int64_t depth) {
    int64_t rows = CL_PATCH_COUNT / depth / 24 * 24;
    return rows < 24 ? 24 : rows;
}
