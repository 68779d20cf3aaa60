#include "net/plan.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "net/pack.h"
#include "net/rows.h"

/* Below this many channels in or out, Winograd's transforms cost more than its products save. */
#define WINOGRAD_CHANNELS_MIN 16
/* Maps of at most this many pixels are worked on for all pictures together: 14x14 and 7x7, where the weights of a
 * layer outweigh its numbers. */
#define TOGETHER_PIXELS_MAX 256

/* 16 GiB of workspace a thread: no network in use comes near. */
#define WORKSPACE_MAX ((int64_t)1 << 32)

typedef struct builder {
    cl_plan *plan;
    const coulis_model *model;
    const cl_graph *graph;
    int32_t *value_of;   /* node -> value holding its output, -1 before */
    int32_t *readers;    /* node -> how many needed nodes read it */
    cl_fold *folds;      /* step -> normalisation folded into its weights */
    coulis_error *error;
} builder;

/* The step that wrote `value`; every value but the picture has one, and they are made in the same order. */
static cl_step *writer_of(const builder *b, int32_t value) { return value > 0 ? &b->plan->steps[value - 1] : NULL; }

static bool has_activation(const cl_step *step) { return step->high != INFINITY || step->low != -INFINITY; }

static bool is_convolution(const cl_step *step) {
    return step->kind == CL_STEP_CONV || step->kind == CL_STEP_WINOGRAD || step->kind == CL_STEP_POINTWISE ||
           step->kind == CL_STEP_DEPTHWISE;
}

/* The step that wrote the input of `node`, when nothing else reads that input, so that more can be joined to it. */
static cl_step *sole_writer(const builder *b, int32_t input) {
    cl_step *step = writer_of(b, b->value_of[input]);
    return step && b->readers[input] == 1 && !has_activation(step) ? step : NULL;
}

static cl_step *add_step(builder *b, cl_step_kind kind, int32_t number) {
    const cl_node *node = &b->graph->nodes[number];
    cl_plan *plan = b->plan;
    int64_t lanes = plan->kernels->lanes;
    plan->values[plan->value_count] = (cl_value){.height = node->height, .width = node->width,
        .channels = node->channels, .stride = (node->channels + lanes - 1) / lanes * lanes};
    cl_value *value = &plan->values[plan->value_count];
    value->rows = value->height;
    value->size = (int64_t)value->height * value->width * value->stride;
    cl_step *step = &plan->steps[plan->step_count++];
    *step = (cl_step){.kind = kind, .node = node, .input = b->value_of[node->inputs[0]], .other = -1,
                      .output = plan->value_count++, .groups = 1, .low = -INFINITY, .high = INFINITY};
    b->value_of[number] = step->output;
    return step;
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
    int later = b->value_of[node->inputs[0]] < b->value_of[node->inputs[1]];
    cl_step *step = sole_writer(b, node->inputs[later]);
    if (!step || step->other >= 0 || step->groups > 1 ||
        (step->kind != CL_STEP_CONV && step->kind != CL_STEP_WINOGRAD && step->kind != CL_STEP_POINTWISE))
        return false;
    step->other = b->value_of[node->inputs[!later]];
    b->value_of[number] = step->output;
    return true;
}

static void add_node(builder *b, int32_t number) {
    const cl_node *node = &b->graph->nodes[number];
    cl_step *step;
    switch (node->op) {
    case CL_OP_CONV:
        step = add_step(b, convolution_kind(b, node), number);
        step->groups = step->kind == CL_STEP_CONV ? node->groups : 1;
        break;
    case CL_OP_DENSE: add_step(b, CL_STEP_POINTWISE, number); break;
    case CL_OP_BATCH_NORM:
        step = sole_writer(b, node->inputs[0]);
        if (step && is_convolution(step) && step->other < 0 && !b->folds[step - b->plan->steps].norm) {
            b->folds[step - b->plan->steps].norm = node;
            b->value_of[number] = step->output;
        } else {
            add_step(b, CL_STEP_SCALE, number);
        }
        break;
    case CL_OP_RELU:
    case CL_OP_RELU6:
        step = sole_writer(b, node->inputs[0]);
        if (step && step->kind != CL_STEP_MAX_POOL && step->kind != CL_STEP_AVERAGE_POOL)
            b->value_of[number] = step->output;
        else step = add_step(b, CL_STEP_SCALE, number);
        step->low = 0.0f;
        if (node->op == CL_OP_RELU6) step->high = 6.0f;
        break;
    case CL_OP_ADD:
        if (!join_add(b, number)) {
            step = add_step(b, CL_STEP_ADD, number);
            step->other = b->value_of[node->inputs[1]];
        }
        break;
    case CL_OP_MAX_POOL: add_step(b, CL_STEP_MAX_POOL, number); break;
    case CL_OP_AVERAGE_POOL:
    case CL_OP_GLOBAL_AVERAGE_POOL: add_step(b, CL_STEP_AVERAGE_POOL, number); break;
    case CL_OP_IMAGE: break;
    }
}

/* Counts how many of the nodes that `output` needs read each node; 0 means not needed. */
static void count_readers(builder *b, int32_t output) {
    b->readers[output] = 1;
    for (int32_t i = output; i > 0; i--) {
        if (b->readers[i] == 0) continue;
        for (int k = 0; k < 2; k++)
            if (b->graph->nodes[i].inputs[k] >= 0) b->readers[b->graph->nodes[i].inputs[k]]++;
    }
}

/* Numbers that `value` takes in the workspace, in whole cache lines. */
static int64_t room_for(const cl_value *value) {
    int64_t count = value->size * (value->together ? CL_PLAN_PICTURES : 1);
    int64_t unit = CL_ALIGNMENT / (int64_t)sizeof(float);
    return (count + unit - 1) / unit * unit;
}

/* Finds from which step on all maps are small. */
static void find_split(cl_plan *plan) {
    plan->split = plan->step_count;
    while (plan->split > 0) {
        const cl_value *in = &plan->values[plan->steps[plan->split - 1].input];
        if ((int64_t)in->height * in->width > TOGETHER_PIXELS_MAX) break;
        plan->split--;
    }
}

/* Gives every value the lowest place that is free from the step that writes it to the last that reads it. */
static coulis_status lay_out(cl_plan *plan, coulis_error *error) {
    for (int32_t s = 0; s < plan->step_count; s++) {
        plan->values[plan->steps[s].input].last_use = s;
        if (plan->steps[s].other >= 0) plan->values[plan->steps[s].other].last_use = s;
    }
    plan->values[plan->output].last_use = plan->step_count;
    find_split(plan);
    cl_rows_plan(plan);
    int64_t end = 0;
    for (int32_t v = 0; v < plan->value_count; v++) {
        cl_value *value = &plan->values[v];
        int32_t born = v - 1; /* value v is written by step v - 1 */
        value->together = value->last_use >= plan->split;
        /* Streamed steps run at the same time, and what is kept of the pictures before must stay while the first part
         * runs for the next: neither may share a place with anything of that part. */
        if (born < plan->streamed || (value->together && born < plan->split)) born = -1;
        int64_t offset = 0, size = room_for(value);
        for (bool moved = true; moved;) {
            moved = false;
            for (int32_t u = 0; u < v; u++) {
                const cl_value *other = &plan->values[u];
                int32_t last_use = u <= plan->streamed && other->last_use < plan->streamed ? plan->streamed - 1
                                                                                           : other->last_use;
                if (last_use < born || other->offset >= offset + size ||
                    other->offset + room_for(other) <= offset)
                    continue;
                offset = other->offset + room_for(other);
                moved = true;
            }
        }
        value->offset = offset;
        if (offset + size > end) end = offset + size;
        if (end > WORKSPACE_MAX) return cl_fail(error, COULIS_BAD_MODEL, "the network needs too much memory to run");
    }
    int64_t scratch = 0;
    for (int32_t s = 0; s < plan->step_count; s++) {
        int64_t needed = cl_step_scratch_count(plan, &plan->steps[s]);
        if (needed > scratch) scratch = needed;
    }
    plan->scratch_offset = end;
    plan->workspace_count = end + scratch;
    return COULIS_OK;
}

static coulis_status build(builder *b, int32_t output) {
    cl_plan *plan = b->plan;
    const cl_graph *graph = b->graph;
    plan->bgr = graph->bgr;
    for (int c = 0; c < 3; c++)
        for (int x = 0; x < 256; x++) plan->pixel[c][x] = (float)((x - graph->mean[c]) / graph->std[c]);
    /* The picture is only ever gathered from, so its three channels need no padding. */
    plan->values[0] = (cl_value){.height = graph->height, .width = graph->width, .channels = 3, .stride = 3,
                                  .rows = graph->height, .size = (int64_t)graph->height * graph->width * 3};
    plan->value_count = 1;
    count_readers(b, output);
    for (int32_t i = 1; i <= output; i++)
        if (b->readers[i] > 0) add_node(b, i);
    plan->output = b->value_of[output];
    const cl_value *result = &plan->values[plan->output];
    plan->length = (int64_t)result->height * result->width * result->channels;
    for (int32_t s = 0; s < plan->step_count; s++) {
        if (plan->steps[s].input == 0 && plan->steps[s].kind != CL_STEP_CONV)
            return cl_fail(b->error, COULIS_BAD_MODEL,
                           "node '%.80s': only an ordinary convolution can take the picture itself",
                           plan->steps[s].node->name);
        coulis_status status = cl_step_pack(plan, b->model, &b->folds[s], &plan->steps[s], b->error);
        if (status != COULIS_OK) return status;
    }
    return lay_out(plan, b->error);
}

coulis_status cl_plan_create(const coulis_model *model, int32_t output, cl_plan **out, coulis_error *error) {
    const cl_graph *graph = cl_model_graph(model);
    size_t count = (size_t)graph->node_count;
    cl_plan *plan = cl_alloc_zero(1, sizeof *plan);
    builder b = {.plan = plan, .model = model, .graph = graph, .error = error,
                 .value_of = cl_alloc_zero(count, sizeof *b.value_of),
                 .readers = cl_alloc_zero(count, sizeof *b.readers),
                 .folds = cl_alloc_zero(count, sizeof *b.folds)};
    coulis_status status = COULIS_NO_MEMORY;
    if (plan) {
        plan->kernels = cl_kernels_get();
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
        cl_free(plan->steps[s].weights);
        cl_free(plan->steps[s].bias);
    }
    cl_free(plan->steps);
    cl_free(plan->values);
    cl_free(plan);
}
