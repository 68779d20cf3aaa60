#include "net/pack.h"

#include <math.h>

void cl_pack_fold(const coulis_model *model, const cl_node *norm, int64_t c, double *scale, double *shift) {
    *scale = 1;
    *shift = 0;
    if (!norm) return;
    const float *gamma = cl_model_weight(model, norm, CL_SCALE), *beta = cl_model_weight(model, norm, CL_SHIFT);
    if (norm->op == CL_OP_SCALE) {
        *scale = (double)gamma[c];
        *shift = beta ? (double)beta[c] : 0;
        return;
    }
    const float *mean = cl_model_weight(model, norm, CL_MEAN), *variance = cl_model_weight(model, norm, CL_VARIANCE);
    *scale = (double)gamma[c] / sqrt((double)variance[c] + norm->epsilon);
    *shift = (double)beta[c] - (double)mean[c] * *scale;
}

coulis_status cl_pack_room(cl_step *step, int64_t weights, int64_t bias, coulis_error *error) {
    step->weights = cl_alloc_zero((size_t)weights, sizeof(float));
    step->bias = cl_alloc_zero((size_t)bias, sizeof(float));
    if (step->weights && step->bias) return COULIS_OK;
    return cl_fail_memory(error, "packed weights", ((size_t)weights + (size_t)bias) * sizeof(float));
}

float cl_pack_bias(const coulis_model *model, const cl_node *node, int64_t c, double scale, double shift) {
    const float *bias = cl_model_weight(model, node, CL_BIAS);
    return (float)((bias ? (double)bias[c] : 0.0) * scale + shift);
}

/* Below this depth too little is multiplied by each number of A to pay for rounding it. */
#define REDUCED_K_MIN 16

static bool can_reduce(const cl_plan *plan, const cl_step *step, int64_t k) {
    return plan->reduced && step->ops == &cl_step_pointwise && k >= REDUCED_K_MIN && k <= CL_REDUCED_K_MAX;
}

/* Whether many numbers of the step's input are zeros: a clamp has cut them off there. */
static bool reads_zeros(const cl_plan *plan, const cl_step *step) {
    const int32_t writer = cl_step_input(plan, step)->writer;
    return writer >= 0 && plan->steps[writer].low == 0 && plan->steps[writer].activation.what == CL_ACTIVATION_NONE;
}

/* A convolution as a matrix product: row (ky, kx, input channel), column output channel. A dense layer
 * is the same with one tap. Where the step has several groups of the network's in one, what does not belong together
 * is 0. */
coulis_status cl_pack_product(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error) {
    const cl_node *node = step->node;
    const cl_kernels *kernels = plan->kernels;
    int64_t groups = step->groups, columns = cl_step_output(plan, step)->channels / groups;
    int64_t padded = cl_padded(kernels, columns);
    int64_t inputs = cl_step_input(plan, step)->channels / groups;
    int64_t taps = node->op == CL_OP_CONV ? (int64_t)node->window.kernel[0] * node->window.kernel[1] : 1;
    int64_t depth = taps * inputs;
    step->reduced = can_reduce(plan, step, depth);
    int64_t packed = step->reduced ? cl_reduced_packed_count(plan->reduced, depth, columns)
                                   : kernels->gemm_packed_count(depth, columns);
    coulis_status status = cl_pack_room(step, groups * packed, groups * padded, error);
    if (status) return status;
    const int64_t own_groups = node->op == CL_OP_CONV ? node->groups : 1, own_columns = node->channels / own_groups;
    const int64_t own_inputs = cl_step_input(plan, step)->channels / own_groups;
    float *matrix = cl_alloc_zero((size_t)(depth * columns), sizeof *matrix);
    if (!matrix) return cl_fail_memory(error, "packed weights", (size_t)(depth * columns) * sizeof *matrix);
    const float *weight = cl_model_weight(model, node, CL_WEIGHT); /* output, input, height, width */
    bool finite = true;                                            /* folding may take large weights beyond a float */
    for (int64_t g = 0; g < groups; g++) {
        for (int64_t column = 0; column < columns; column++) {
            int64_t c = step->column + g * columns + column;
            double scale, shift;
            cl_pack_fold(model, step->norm, c, &scale, &shift);
            const int64_t first = column / own_columns * own_inputs; /* the channel its own group begins with */
            for (int64_t i = 0; i < own_inputs; i++)
                for (int64_t t = 0; t < taps; t++)
                    matrix[(t * inputs + first + i) * columns + column] =
                        (float)(weight[(c * own_inputs + i) * taps + t] * scale);
            step->bias[g * padded + column] = cl_pack_bias(model, node, c, scale, shift);
        }
        for (int64_t i = 0; i < depth * columns; i++) finite = finite && isfinite(matrix[i]);
        if (step->reduced) cl_reduced_pack(plan->reduced, depth, columns, matrix, step->weights);
        else kernels->gemm_pack(depth, columns, matrix, columns, 1, step->weights + g * packed);
    }
    cl_free(matrix);
    step->zeros = finite && reads_zeros(plan, step);
    return COULIS_OK;
}
