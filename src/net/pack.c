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

/* Below this depth too little is multiplied by each number of A to pay for rounding it. */
#define REDUCED_K_MIN 16

static bool can_reduce(const cl_plan *plan, const cl_step *step, int64_t k) {
    return plan->reduced && step->kind == CL_STEP_POINTWISE && k >= REDUCED_K_MIN && k <= CL_REDUCED_K_MAX;
}

/* Whether many numbers of the step's input are zeros: a clamp has cut them off there. */
static bool reads_zeros(const cl_plan *plan, const cl_step *step) {
    if (step->input == 0) return false;
    const cl_step *writer = &plan->steps[step->input - 1]; /* value v is written by step v - 1 */
    return writer->low == 0 && writer->activation == CL_ACTIVATION_NONE;
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

static coulis_status pack_depthwise(const cl_plan *plan, const coulis_model *model, const cl_node *norm, cl_step *step,
                                    coulis_error *error) {
    const cl_node *node = step->node;
    int64_t stride = plan->values[step->output].stride;
    int64_t taps = (int64_t)node->window.kernel[0] * node->window.kernel[1];
    coulis_status status = make_room(step, taps * stride, stride, error);
    if (status != COULIS_OK) return status;
    const float *weight = cl_model_weight(model, node, CL_WEIGHT); /* channel, 1, height, width */
    for (int64_t c = 0; c < node->channels; c++) {
        double scale, shift;
        fold_channel(model, norm, c, &scale, &shift);
        for (int64_t t = 0; t < taps; t++) step->weights[t * stride + c] = (float)(weight[c * taps + t] * scale);
        step->bias[c] = bias_of(model, node, c, scale, shift);
    }
    return COULIS_OK;
}

/* A convolution as a matrix product: row (ky, kx, input channel), column output channel. A dense layer
 * is the same with one tap. Where the step has several groups of the network's in one, what does not belong together
 * is 0. */
static coulis_status pack_matrix(const cl_plan *plan, const coulis_model *model, const cl_node *norm, cl_step *step,
                                 coulis_error *error) {
    const cl_node *node = step->node;
    const cl_kernels *kernels = plan->kernels;
    int64_t groups = step->groups, columns = node->channels / groups;
    int64_t padded = cl_padded(kernels, columns);
    int64_t inputs = plan->values[step->input].channels / groups;
    int64_t taps = node->op == CL_OP_CONV ? (int64_t)node->window.kernel[0] * node->window.kernel[1] : 1;
    int64_t depth = taps * inputs;
    step->reduced = can_reduce(plan, step, depth);
    int64_t packed = step->reduced ? cl_reduced_packed_count(plan->reduced, depth, columns)
                                   : kernels->gemm_packed_count(depth, columns);
    coulis_status status = make_room(step, groups * packed, groups * padded, error);
    if (status != COULIS_OK) return status;
    const int64_t own_groups = node->op == CL_OP_CONV ? node->groups : 1, own_columns = node->channels / own_groups;
    const int64_t own_inputs = plan->values[step->input].channels / own_groups;
    float *matrix = cl_alloc_zero((size_t)(depth * columns), sizeof *matrix);
    if (!matrix) return cl_fail_memory(error, "packed weights", (size_t)(depth * columns) * sizeof *matrix);
    const float *weight = cl_model_weight(model, node, CL_WEIGHT); /* output, input, height, width */
    bool finite = true; /* folding may take large weights beyond a float */
    for (int64_t g = 0; g < groups; g++) {
        for (int64_t column = 0; column < columns; column++) {
            int64_t c = g * columns + column;
            double scale, shift;
            fold_channel(model, norm, c, &scale, &shift);
            const int64_t first = column / own_columns * own_inputs; /* the channel its own group begins with */
            for (int64_t i = 0; i < own_inputs; i++)
                for (int64_t t = 0; t < taps; t++)
                    matrix[(t * inputs + first + i) * columns + column] =
                        (float)(weight[(c * own_inputs + i) * taps + t] * scale);
            step->bias[g * padded + column] = bias_of(model, node, c, scale, shift);
        }
        for (int64_t i = 0; i < depth * columns; i++) finite = finite && isfinite(matrix[i]);
        if (step->reduced) cl_reduced_pack(plan->reduced, depth, columns, matrix, step->weights);
        else kernels->gemm_pack(depth, columns, matrix, columns, 1, step->weights + g * packed);
    }
    cl_free(matrix);
    step->zeros = finite && reads_zeros(plan, step);
    return COULIS_OK;
}

/* G g G^T of one 3x3 filter, in float64; Lavin and Gray, Fast algorithms for convolutional neural networks, 2015. */
static void winograd_filter(const float g[9], double scale, float u[36]) {
    static const double matrix[6][3] = {{1 / 4.0, 0, 0},
                                        {-1 / 6.0, -1 / 6.0, -1 / 6.0},
                                        {-1 / 6.0, 1 / 6.0, -1 / 6.0},
                                        {1 / 24.0, 1 / 12.0, 1 / 6.0},
                                        {1 / 24.0, -1 / 12.0, 1 / 6.0},
                                        {0, 0, 1}};
    for (int y = 0; y < 6; y++) {
        double row[3];
        for (int x = 0; x < 3; x++)
            row[x] = matrix[y][0] * g[x] + matrix[y][1] * g[3 + x] + matrix[y][2] * g[6 + x];
        for (int x = 0; x < 6; x++)
            u[y * 6 + x] =
                (float)(scale * (row[0] * matrix[x][0] + row[1] * matrix[x][1] + row[2] * matrix[x][2]));
    }
}

/* The 36 matrices of a 3x3 convolution in Winograd's domain: row input channel, column output channel. */
static coulis_status pack_winograd(const cl_plan *plan, const coulis_model *model, const cl_node *norm, cl_step *step,
                                   coulis_error *error) {
    const cl_node *node = step->node;
    const int64_t inputs = plan->values[step->input].channels, columns = node->channels;
    const int64_t padded = plan->values[step->output].stride;
    const int64_t plane = inputs * columns;
    coulis_status status = make_room(step, 36 * inputs * padded, padded, error);
    if (status != COULIS_OK) return status;
    float *planes = cl_alloc((size_t)(36 * plane), sizeof *planes);
    if (!planes) return cl_fail_memory(error, "packed weights", (size_t)(36 * plane) * sizeof *planes);
    const float *weight = cl_model_weight(model, node, CL_WEIGHT); /* output, input, height, width */
    for (int64_t c = 0; c < columns; c++) {
        double scale, shift;
        fold_channel(model, norm, c, &scale, &shift);
        for (int64_t i = 0; i < inputs; i++) {
            float u[36];
            winograd_filter(weight + (c * inputs + i) * 9, scale, u);
            for (int p = 0; p < 36; p++) planes[p * plane + i * columns + c] = u[p];
        }
        step->bias[c] = bias_of(model, node, c, scale, shift);
    }
    float *packed = step->weights;
    for (int64_t first = 0, width; first < columns; first += width) {
        width = cl_winograd_columns(columns - first);
        for (int p = 0; p < 36; p++, packed += plan->kernels->gemm_packed_count(inputs, width))
            plan->kernels->gemm_pack(inputs, width, planes + p * plane + first, columns, 1, packed);
    }
    cl_free(planes);
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

coulis_status cl_step_pack(const cl_plan *plan, const coulis_model *model, const cl_node *norm, cl_step *step,
                           coulis_error *error) {
    switch (step->kind) {
    case CL_STEP_CONV:
    case CL_STEP_POINTWISE: return pack_matrix(plan, model, norm, step, error);
    case CL_STEP_WINOGRAD: return pack_winograd(plan, model, norm, step, error);
    case CL_STEP_DEPTHWISE: return pack_depthwise(plan, model, norm, step, error);
    case CL_STEP_SCALE: return pack_scale(plan, model, step, error);
    default: return COULIS_OK; /* no weights */
    }
}

/* What one thread's gathered patches may take: they should come out of the second-level cache again, which has 512 KiB
 * to 2 MiB on the machines in use. */
#define PATCH_BYTES (128 * 1024)

/* The same of tiles in Winograd's domain and of the results of WINOGRAD_COLUMNS output channels there. More would
 * leave the cache between the transforms and the products; less, or more channels and therefore fewer tiles, would
 * fetch the weights, 36 numbers for each pair of channels, more often. 48 channels are a panel of gemm with AVX-512,
 * and whole panels elsewhere. */
#define TILE_BYTES (1024 * 1024)
#define WINOGRAD_COLUMNS 48

int64_t cl_patch_rows(int64_t depth) {
    /* A multiple of every kernel's rows, 6 and 8. */
    int64_t rows = PATCH_BYTES / (int64_t)sizeof(float) / depth / 24 * 24;
    return rows < 24 ? 24 : rows;
}

int64_t cl_winograd_columns(int64_t left) { return left < WINOGRAD_COLUMNS ? left : WINOGRAD_COLUMNS; }

int64_t cl_winograd_tiles(int64_t in, int64_t out) {
    int64_t tiles = TILE_BYTES / (int64_t)sizeof(float) / 36 / (in + cl_winograd_columns(out)) / 8 * 8;
    return tiles < 24 ? 24 : tiles; /* fewer would fetch the weights, 36 times as many as inputs, too often */
}

int64_t cl_winograd_plane(int64_t count) {
    const int64_t line = CL_ALIGNMENT / (int64_t)sizeof(float), lines = (count + line - 1) / line;
    return (lines | 1) * line;
}

int64_t cl_step_scratch_count(const cl_plan *plan, const cl_step *step) {
    const cl_value *in = &plan->values[step->input], *out = &plan->values[step->output];
    if (step->kind == CL_STEP_WINOGRAD) { /* tiles before and after the products, and the pixels around one */
        const int64_t tiles = cl_winograd_tiles(in->stride, out->stride), columns = cl_winograd_columns(out->stride);
        return 36 * (cl_winograd_plane(tiles * in->stride) + cl_winograd_plane(tiles * columns)) + in->stride;
    }
    if (step->reduced) return cl_reduced_scratch_count(plan->reduced, in->channels);
    if (step->kind != CL_STEP_CONV) return 0;
    const cl_window *w = &step->node->window;
    int64_t columns = step->node->channels / step->groups;
    int64_t depth = (int64_t)w->kernel[0] * w->kernel[1] * (in->channels / step->groups);
    int64_t rows = cl_patch_rows(depth);
    int64_t grouped = step->groups > 1 ? rows * cl_padded(plan->kernels, columns) : 0;
    return rows * depth + CL_ALIGNMENT + grouped;
}
