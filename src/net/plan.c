#include "net/plan.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "net/pack.h"

/* Below this many channels in or out, Winograd's transforms cost more than its products save. */
#define WINOGRAD_CHANNELS_MIN 16

typedef struct builder {
    cl_plan *plan;
    const coulis_model *model;
    const cl_graph *graph;
    int32_t *value_of;   /* node -> value holding its output */
    int32_t picture;     /* the value that holds the picture as a map like any other, 0 when nothing needs it */
    int32_t *readers;    /* node -> how many needed nodes read it */
    const cl_node **folds; /* step -> normalisation folded into its weights, NULL for none */
    coulis_error *error;
} builder;

/* The step that wrote `value`; every value but the picture has one, and they are made in the same order. */
static cl_step *writer_of(const builder *b, int32_t value) { return value > 0 ? &b->plan->steps[value - 1] : NULL; }

static bool has_activation(const cl_step *step) {
    return step->high != INFINITY || step->low != -INFINITY || step->activation != CL_ACTIVATION_NONE;
}

static bool is_convolution(const cl_step *step) {
    return step->kind == CL_STEP_CONV || step->kind == CL_STEP_WINOGRAD || step->kind == CL_STEP_POINTWISE ||
           step->kind == CL_STEP_DEPTHWISE;
}

/* Whether the step clamps what it stores. */
static bool can_clamp(const cl_step *step) {
    return is_convolution(step) || step->kind == CL_STEP_SCALE || step->kind == CL_STEP_ARITHMETIC;
}

/* The value that holds what `node` reads as its k-th input. Patches are gathered from the picture as it is; whatever
 * else reads it gets a map. */
static int32_t value_read(const builder *b, const cl_node *node, int32_t k) {
    return node->inputs[k] == 0 && node->op != CL_OP_CONV ? b->picture : b->value_of[node->inputs[k]];
}

/* The step that wrote what node `input` gives, when nothing else reads it, so that more can be joined to that step. */
static cl_step *sole_writer(const builder *b, int32_t input) {
    cl_step *step = writer_of(b, b->value_of[input]);
    return step && b->readers[input] == 1 && !has_activation(step) ? step : NULL;
}

static cl_step *add_step(builder *b, cl_step_kind kind, int32_t number) {
    const cl_node *node = &b->graph->nodes[number];
    cl_plan *plan = b->plan;
    plan->values[plan->value_count] = (cl_value){.height = node->height, .width = node->width,
        .channels = node->channels, .stride = cl_padded(plan->kernels, node->channels)};
    cl_value *value = &plan->values[plan->value_count];
    value->rows = value->height;
    value->size = (int64_t)value->height * value->width * value->stride;
    cl_step *step = &plan->steps[plan->step_count++];
    *step = (cl_step){.kind = kind, .node = node, .input = value_read(b, node, 0), .other = -1,
                      .output = plan->value_count++, .groups = 1, .low = -INFINITY, .high = INFINITY};
    b->value_of[number] = step->output;
    return step;
}

/* A step that gives the picture as a map like any other. */
static void add_picture(builder *b) {
    cl_plan *plan = b->plan;
    const int64_t height = b->graph->height, width = b->graph->width;
    cl_value *value = &plan->values[b->picture = plan->value_count++];
    *value = (cl_value){.height = b->graph->height, .width = b->graph->width, .channels = 3,
                        .stride = cl_padded(plan->kernels, 3), .rows = b->graph->height};
    value->size = height * width * value->stride;
    plan->steps[plan->step_count++] = (cl_step){.kind = CL_STEP_PICTURE, .node = &b->graph->nodes[0], .other = -1,
                                                .output = b->picture, .groups = 1, .low = -INFINITY,
                                                .high = INFINITY};
}

/* A register of results has room for several groups of few channels: how many are computed as one, with zeros as
 * weights where a channel does not belong to a group. */
static int32_t groups_together(const cl_node *node, int32_t lanes) {
    int32_t columns = node->channels / node->groups, together = 1;
    for (int32_t n = 2; n <= node->groups && n * columns <= lanes; n++)
        if (node->groups % n == 0) together = n;
    return together;
}

static cl_step_kind convolution_kind(const builder *b, const cl_node *node) {
    const cl_window *w = &node->window;
    /* The picture's three channels are not padded: patches are gathered from it, whatever the kernel. */
    if (node->inputs[0] == 0) return CL_STEP_CONV;
    if (node->groups > 1 && node->groups == node->channels &&
        b->graph->nodes[node->inputs[0]].channels == node->channels && w->stride[0] == w->stride[1] &&
        w->dilation[0] == w->dilation[1])
        return CL_STEP_DEPTHWISE;
    bool three = node->groups == 1 && w->kernel[0] == 3 && w->kernel[1] == 3 && w->stride[0] == 1 &&
                 w->stride[1] == 1 && w->dilation[0] == 1 && w->dilation[1] == 1;
    if (three && b->graph->nodes[node->inputs[0]].channels >= WINOGRAD_CHANNELS_MIN &&
        node->channels >= WINOGRAD_CHANNELS_MIN)
        return CL_STEP_WINOGRAD;
    bool pointwise = node->groups == 1 && w->kernel[0] == 1 && w->kernel[1] == 1 && w->stride[0] == 1 &&
                     w->stride[1] == 1; /* padding is less than the kernel, so there is none */
    return pointwise ? CL_STEP_POINTWISE : CL_STEP_CONV;
}

/* Joins an addition to the later of its two operands' convolutions: the other is there by then. */
static bool join_add(builder *b, int32_t number) {
    const cl_node *node = &b->graph->nodes[number];
    if (node->inputs[0] == node->inputs[1]) return false;
    const cl_node *left = &b->graph->nodes[node->inputs[0]], *right = &b->graph->nodes[node->inputs[1]];
    if (left->height != right->height || left->width != right->width) return false; /* a vector over a map */
    int later = value_read(b, node, 0) < value_read(b, node, 1);
    cl_step *step = sole_writer(b, node->inputs[later]);
    if (!step || step->other >= 0 || step->groups > 1 ||
        (step->kind != CL_STEP_CONV && step->kind != CL_STEP_WINOGRAD && step->kind != CL_STEP_POINTWISE))
        return false;
    step->other = value_read(b, node, !later);
    b->value_of[number] = step->output;
    return true;
}

static void add_norm(builder *b, int32_t number) {
    const cl_node *node = &b->graph->nodes[number];
    const cl_step *step = sole_writer(b, node->inputs[0]);
    if (step && is_convolution(step) && step->other < 0 && !b->folds[step - b->plan->steps]) {
        b->folds[step - b->plan->steps] = node;
        b->value_of[number] = step->output;
    } else {
        add_step(b, CL_STEP_SCALE, number);
    }
}

static void add_clamp(builder *b, int32_t number, double low, double high) {
    cl_step *step = sole_writer(b, b->graph->nodes[number].inputs[0]);
    if (step && can_clamp(step)) b->value_of[number] = step->output;
    else step = add_step(b, CL_STEP_SCALE, number);
    step->low = (float)low;
    step->high = (float)high;
}

static void add_activation(builder *b, int32_t number, cl_activation activation) {
    const cl_node *node = &b->graph->nodes[number];
    cl_step *step = sole_writer(b, node->inputs[0]);
    if (step) b->value_of[number] = step->output;
    else step = add_step(b, CL_STEP_ACTIVATION, number);
    step->activation = activation;
    step->a = (float)node->a;
    step->b = (float)node->b;
}

static coulis_status add_concat(builder *b, int32_t number) {
    const cl_node *node = &b->graph->nodes[number];
    cl_step *step = add_step(b, CL_STEP_CONCAT, number);
    step->more = cl_alloc((size_t)node->input_count - 1, sizeof *step->more);
    if (!step->more) return cl_fail_memory(b->error, "the plan of the network", (size_t)node->input_count * 4);
    for (int32_t k = 1; k < node->input_count; k++) step->more[step->more_count++] = value_read(b, node, k);
    return COULIS_OK;
}

static coulis_status add_node(builder *b, int32_t number) {
    const cl_node *node = &b->graph->nodes[number];
    cl_step *step;
    switch (node->op) {
    case CL_OP_CONV:
        step = add_step(b, convolution_kind(b, node), number);
        if (step->kind == CL_STEP_CONV) step->groups = node->groups / groups_together(node, b->plan->kernels->lanes);
        break;
    case CL_OP_DENSE: add_step(b, CL_STEP_POINTWISE, number); break;
    case CL_OP_BATCH_NORM: add_norm(b, number); break;
    case CL_OP_RELU: add_clamp(b, number, 0, INFINITY); break;
    case CL_OP_RELU6: add_clamp(b, number, 0, 6); break;
    case CL_OP_CLIP: add_clamp(b, number, node->low, node->high); break;
    case CL_OP_LEAKY_RELU: add_activation(b, number, CL_LEAKY_RELU); break;
    case CL_OP_SIGMOID: add_activation(b, number, CL_SIGMOID); break;
    case CL_OP_HARD_SIGMOID: add_activation(b, number, CL_HARD_SIGMOID); break;
    case CL_OP_SWISH: add_activation(b, number, CL_SWISH); break;
    case CL_OP_HARD_SWISH: add_activation(b, number, CL_HARD_SWISH); break;
    case CL_OP_ADD:
        if (join_add(b, number)) break;
        /* fall through */
    case CL_OP_SUBTRACT:
    case CL_OP_MULTIPLY:
    case CL_OP_DIVIDE:
        step = add_step(b, CL_STEP_ARITHMETIC, number);
        step->other = value_read(b, node, 1);
        break;
    case CL_OP_CONCAT: return add_concat(b, number);
    case CL_OP_SOFTMAX: add_step(b, CL_STEP_SOFTMAX, number); break;
    case CL_OP_SLICE: add_step(b, CL_STEP_SLICE, number); break;
    case CL_OP_SHUFFLE: add_step(b, CL_STEP_SHUFFLE, number); break;
    case CL_OP_PAD: add_step(b, CL_STEP_PAD, number); break;
    case CL_OP_FLATTEN: add_step(b, CL_STEP_FLATTEN, number); break;
    case CL_OP_MAX_POOL:
    case CL_OP_GLOBAL_MAX_POOL: add_step(b, CL_STEP_MAX_POOL, number); break;
    case CL_OP_AVERAGE_POOL:
    case CL_OP_GLOBAL_AVERAGE_POOL: add_step(b, CL_STEP_AVERAGE_POOL, number); break;
    case CL_OP_IMAGE: break;
    }
    return COULIS_OK;
}

/* Counts how many of the nodes that `output` needs read each node; 0 means not needed. Tells whether any but a
 * convolution reads the picture. */
static bool count_readers(builder *b, int32_t output) {
    bool picture = false;
    b->readers[output] = 1;
    for (int32_t i = output; i > 0; i--) {
        const cl_node *node = &b->graph->nodes[i];
        for (int32_t k = 0; b->readers[i] > 0 && k < node->input_count; k++) {
            b->readers[node->inputs[k]]++;
            picture = picture || (node->inputs[k] == 0 && node->op != CL_OP_CONV);
        }
    }
    return picture;
}

static coulis_status build(builder *b, int32_t output) {
    cl_plan *plan = b->plan;
    const cl_graph *graph = b->graph;
    plan->bgr = graph->bgr;
    for (int c = 0; c < 3; c++)
        for (int x = 0; x < 256; x++) plan->pixel[c][x] = (float)((x - graph->mean[c]) / graph->std[c]);
    /* Convolutions gather from the picture, so its three channels need no padding. */
    plan->values[0] = (cl_value){.height = graph->height, .width = graph->width, .channels = 3, .stride = 3,
                                  .rows = graph->height, .size = (int64_t)graph->height * graph->width * 3};
    plan->value_count = 1;
    if (count_readers(b, output)) add_picture(b);
    for (int32_t i = 1; i <= output; i++) {
        coulis_status status = b->readers[i] > 0 ? add_node(b, i) : COULIS_OK;
        if (status != COULIS_OK) return status;
    }
    plan->output = b->value_of[output];
    const cl_value *result = &plan->values[plan->output];
    plan->length = (int64_t)result->height * result->width * result->channels;
    for (int32_t s = 0; s < plan->step_count; s++) {
        coulis_status status = cl_step_pack(plan, b->model, b->folds[s], &plan->steps[s], b->error);
        if (status != COULIS_OK) return status;
    }
    return cl_plan_lay_out(plan, b->error);
}

coulis_status cl_plan_create(const coulis_model *model, int32_t output, int32_t precision, cl_plan **out,
                             coulis_error *error) {
    const cl_graph *graph = cl_model_graph(model);
    size_t count = (size_t)graph->node_count + 1; /* the picture may be there twice */
    cl_plan *plan = cl_alloc_zero(1, sizeof *plan);
    builder b = {.plan = plan, .model = model, .graph = graph, .error = error,
                 .value_of = cl_alloc_zero(count, sizeof *b.value_of),
                 .readers = cl_alloc_zero(count, sizeof *b.readers),
                 .folds = cl_alloc_zero(count, sizeof *b.folds)};
    coulis_status status = COULIS_NO_MEMORY;
    if (plan) {
        plan->kernels = cl_kernels_get();
        plan->reduced = cl_reduced_for(cl_cpu(), precision);
        plan->values = cl_alloc_zero(count, sizeof *plan->values);
        plan->steps = cl_alloc_zero(count, sizeof *plan->steps);
    }
    if (plan && plan->values && plan->steps && b.value_of && b.readers && b.folds) status = build(&b, output);
    else cl_fail_memory(error, "the plan of the network", count * sizeof *plan->steps);
    cl_free(b.value_of);
    cl_free(b.readers);
    cl_free(b.folds);
    if (status != COULIS_OK) {
        cl_plan_free(plan);
        return status;
    }
    *out = plan;
    return COULIS_OK;
}

void cl_plan_free(cl_plan *plan) {
    if (!plan) return;
    for (int32_t s = 0; plan->steps && s < plan->step_count; s++) {
        cl_free(plan->steps[s].more);
        cl_free(plan->steps[s].weights);
        cl_free(plan->steps[s].bias);
    }
    cl_free(plan->steps);
    cl_free(plan->values);
    cl_free(plan);
}
