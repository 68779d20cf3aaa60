/* From the graph to steps: one for each node that the output needs. */
#include <math.h>

#include "net/passes.h"

typedef struct lowering {
    cl_plan *plan;
    const cl_graph *graph;
    bool *needed;      /* by node */
    int32_t *value_of; /* node -> the value that holds its output */
    int32_t image;     /* the value that holds the image as a map like any other; 0 when nothing needs it */
} lowering;

/* Patches are gathered from the image as it is, and tokens looked up; whatever else reads it gets a map. */
static bool reads_image(const cl_node *node, int32_t k) {
    return node->inputs[k] == 0 && node->op != CL_OP_CONV && node->op != CL_OP_EMBED;
}

static int32_t add_value(cl_plan *plan, const cl_node *node, int64_t stride, int32_t writer) {
    cl_value *value = &plan->values[plan->value_count];
    *value = (cl_value){.height = node->height,
                        .width = node->width,
                        .channels = node->channels,
                        .rows = (int64_t)node->height * node->width,
                        .stride = stride,
                        .writer = writer,
                        .lines = node->height};
    value->size = value->rows * stride;
    return plan->value_count++;
}

/* The step that runs a node: its operator's, or for a convolution the first special one that can. */
static const cl_step_ops *step_of(const cl_graph *graph, const cl_node *node) {
#define STEP(op, name, least, most, fields, step, ...) [CL_OP_##op] = &cl_step_##step,
    static const cl_step_ops *const steps[] = {CL_OPERATORS(STEP)};
    static const cl_step_ops *const special[] = {&cl_step_depthwise, &cl_step_winograd, &cl_step_pointwise};
    for (size_t i = 0; node->op == CL_OP_CONV && i < sizeof special / sizeof *special; i++)
        if (special[i]->accepts(graph, node)) return special[i];
    return steps[node->op];
}

/* A step for `node`, whose inputs are still to be set. */
static cl_step *add_step(lowering *l, const cl_node *node, int32_t input_count, int32_t *inputs) {
    cl_plan *plan = l->plan;
    cl_step *step = &plan->steps[plan->step_count];
    *step = (cl_step){.node = node,
                      .inputs = inputs,
                      .input_count = input_count,
                      .residual = -1,
                      .groups = 1,
                      .low = -INFINITY,
                      .high = INFINITY};
    step->ops = step_of(l->graph, node);
    if (step->ops->lower) step->ops->lower(plan, step);
    step->output = add_value(plan, node, cl_padded(plan->kernels, node->channels), plan->step_count++);
    return step;
}

/* Marks what `output` needs; returns how many inputs that has together, and whether the image is read as a map. */
static int64_t mark_needed(lowering *l, int32_t output, bool *image) {
    int64_t inputs = 0;
    l->needed[output] = true;
    for (int32_t i = output; i > 0; i--) {
        const cl_node *node = &l->graph->nodes[i];
        for (int32_t k = 0; l->needed[i] && k < node->input_count; k++, inputs++) {
            l->needed[node->inputs[k]] = true;
            *image = *image || reads_image(node, k);
        }
    }
    return inputs;
}

static coulis_status lower(lowering *l, int32_t output, coulis_error *error) {
    cl_plan *plan = l->plan;
    const cl_graph *graph = l->graph;
    bool image = false;
    const int64_t input_count = mark_needed(l, output, &image);
    int32_t *inputs = plan->inputs = cl_alloc_zero((size_t)input_count + 1, sizeof *inputs);
    if (!inputs) return cl_fail_memory(error, "the plan of the network", (size_t)input_count * sizeof *inputs);
    /* Convolutions gather from the image, so its three channels need no padding. */
    add_value(plan, &graph->nodes[0], 3, -1);
    if (image) l->image = add_step(l, &graph->nodes[0], 1, inputs++)->output; /* reads value 0 */
    for (int32_t i = 1; i <= output; i++) {
        const cl_node *node = &graph->nodes[i];
        if (!l->needed[i]) continue;
        for (int32_t k = 0; k < node->input_count; k++)
            inputs[k] = reads_image(node, k) ? l->image : l->value_of[node->inputs[k]];
        l->value_of[i] = add_step(l, node, node->input_count, inputs)->output;
        inputs += node->input_count;
    }
    plan->output = l->value_of[output];
    return COULIS_OK;
}

coulis_status cl_plan_lower(cl_plan *plan, const cl_graph *graph, int32_t output, coulis_error *error) {
    const size_t count = (size_t)graph->node_count + 1; /* the image may be there twice */
    plan->bgr = graph->bgr;
    for (int c = 0; c < 3; c++)
        for (int x = 0; x < 256; x++) plan->pixel[c][x] = (float)((x - graph->mean[c]) / graph->std[c]);
    plan->values = cl_alloc_zero(count, sizeof *plan->values);
    plan->steps = cl_alloc_zero(count, sizeof *plan->steps);
    lowering l = {.plan = plan,
                  .graph = graph,
                  .needed = cl_alloc_zero(count, sizeof *l.needed),
                  .value_of = cl_alloc_zero(count, sizeof *l.value_of)};
    coulis_status status = plan->values && plan->steps && l.needed && l.value_of
                               ? lower(&l, output, error)
                               : cl_fail_memory(error, "the plan of the network", count * sizeof *plan->steps);
    cl_free(l.needed);
    cl_free(l.value_of);
    return status;
}
