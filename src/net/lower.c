/* From the graph to steps: one for each node that the output needs.
 *
 * Where the output needs some rows alone, as the class token of a transformer, so do the steps before it that make each
 * row from the same row, back to the last attention, whose keys and values need all; queries of the other rows are left
 * out where a dense layer makes them. They compute these rows only; as each row is the same whatever is beside it, no
 * byte changes. Of a network with 12 blocks that leaves out 7 %. */
#include <math.h>

#include "net/passes.h"

/* What is needed of a node's output. */
enum { ROWS = 1, /* those of `take` */ ALL = 2, KEYS = 4 /* of queries those of `take`, all of keys and values */ };

typedef struct lowering {
    cl_plan *plan;
    const cl_graph *graph;
    const cl_node *take; /* the last that the output needs and that takes few rows; NULL for none */
    uint8_t *needs;      /* by node: ROWS, ALL, both or nothing */
    int32_t *value_of;   /* node -> the value that holds its output */
    int32_t *rows_of;    /* node -> the value that holds the rows of `take` */
    int32_t image;       /* the value that holds the image as a map like any other; 0 when nothing needs it */
} lowering;

/* Patches are gathered from the image as it is, and tokens looked up; whatever else reads it gets a map. */
static bool reads_image(const cl_node *node, int32_t k) {
    return node->inputs[k] == 0 && node->op != CL_OP_CONV && node->op != CL_OP_EMBED;
}

static int64_t rows_in(const cl_node *node) { return (int64_t)node->height * node->width; }

/* A value of the rows of `place`. */
static int32_t add_value(cl_plan *plan, const cl_node *place, int32_t channels, int64_t stride, int32_t writer) {
    cl_value *value = &plan->values[plan->value_count];
    *value = (cl_value){.height = place->height,
                        .width = place->width,
                        .channels = channels,
                        .rows = rows_in(place),
                        .stride = stride,
                        .writer = writer,
                        .lines = place->height};
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

/* Whether of what `node` reads as input k the rows of `take` are enough, as it makes each row of its own from that. */
static bool reads_rows(const lowering *l, const cl_node *node, int32_t k) {
    const cl_node *input = &l->graph->nodes[node->inputs[k]];
    if (!l->take || node->inputs[k] == 0) return false;
    if (node->op == CL_OP_TAKE)
        return node->first == l->take->first && rows_in(node) == rows_in(l->take) &&
               rows_in(input) == rows_in(&l->graph->nodes[l->take->inputs[0]]);
    if (node->op == CL_OP_ATTENTION) return k == 0 && node->input_count == 2; /* queries apart from keys and values */
    return rows_in(input) == rows_in(node);
}

/* Whether the rows of `take` can be made without the others. */
static bool makes_rows(const lowering *l, const cl_node *node) {
    return node->op == CL_OP_ATTENTION || step_of(l->graph, node)->flags & CL_STEP_BY_ROW;
}

/* What the attention `node` needs of its queries, keys and values, side by side in one value; `needed`: of itself. */
static uint8_t needs_keys(const lowering *l, const cl_node *node, uint8_t needed) {
    const cl_node *input = &l->graph->nodes[node->inputs[0]];
    return needed == ROWS && node->op == CL_OP_ATTENTION && node->input_count == 1 && input->op == CL_OP_DENSE &&
                   reads_rows(l, input, 0)
               ? KEYS
               : ALL;
}

/* Works out `needs`; returns how many inputs all steps have together, and whether the image is read as a map. */
static int64_t mark_needed(lowering *l, int32_t output, bool *image) {
    int64_t inputs = 0;
    l->needs[output] = ALL;
    for (int32_t i = output; i > 0; i--) {
        const cl_node *node = &l->graph->nodes[i];
        if (!l->needs[i]) continue;
        if (!l->take && node->op == CL_OP_TAKE && 2 * rows_in(node) <= rows_in(&l->graph->nodes[node->inputs[0]]))
            l->take = node;
        if (l->needs[i] == ROWS && !makes_rows(l, node)) l->needs[i] |= ALL;
        if (l->needs[i] > KEYS) l->needs[i] = (l->needs[i] & ROWS) | ALL; /* something else reads it, too */
        const bool all = l->needs[i] & ALL && node->op != CL_OP_TAKE;
        for (int32_t k = 0; k < node->input_count; k++, inputs++) {
            l->needs[node->inputs[k]] |= !all && reads_rows(l, node, k) ? ROWS : needs_keys(l, node, l->needs[i]);
            *image = *image || reads_image(node, k);
        }
        if (l->needs[i] == KEYS) { /* two steps make it, and the attention reads both */
            l->needs[node->inputs[0]] |= ALL;
            inputs += 2;
        }
        if (l->needs[i] == (ROWS | ALL)) inputs++; /* of the step that takes the rows */
    }
    return inputs;
}

/* A step for `node` that makes the rows of `place`, itself or `take`, and whose inputs are still to be set. */
static cl_step *add_step(lowering *l, const cl_node *node, const cl_node *place, int32_t channels, int32_t input_count,
                         int32_t **inputs) {
    cl_plan *plan = l->plan;
    cl_step *step = &plan->steps[plan->step_count];
    *step = (cl_step){.node = node,
                      .inputs = *inputs,
                      .input_count = input_count,
                      .first = place == node ? 0 : place->first,
                      .residual = -1,
                      .groups = 1,
                      .low = -INFINITY,
                      .high = INFINITY};
    step->ops = step_of(l->graph, node);
    if (step->ops->lower) step->ops->lower(plan, step);
    step->output = add_value(plan, place, channels, cl_padded(plan->kernels, channels), plan->step_count++);
    *inputs += input_count;
    return step;
}

/* The steps that make what KEYS says of dense node i. */
static void make_keys(lowering *l, int32_t i, int32_t **inputs) {
    const cl_node *node = &l->graph->nodes[i];
    const int32_t queries = node->channels / 3;
    cl_step *step = add_step(l, node, l->take, queries, 1, inputs);
    step->inputs[0] = l->rows_of[node->inputs[0]];
    l->rows_of[i] = step->output;
    step = add_step(l, node, node, node->channels - queries, 1, inputs);
    step->inputs[0] = l->value_of[node->inputs[0]];
    step->column = queries;
    l->value_of[i] = step->output;
}

/* The value that holds all of the output of node i. */
static int32_t make_all(lowering *l, int32_t i, int32_t **inputs) {
    const cl_node *node = &l->graph->nodes[i];
    if (node->op == CL_OP_TAKE && reads_rows(l, node, 0)) return l->rows_of[node->inputs[0]];
    const cl_step *step = add_step(l, node, node, node->channels, node->input_count, inputs);
    for (int32_t k = 0; k < node->input_count; k++)
        step->inputs[k] = reads_image(node, k) ? l->image : l->value_of[node->inputs[k]];
    return step->output;
}

/* The value that holds the rows of `take` of the output of node i. */
static int32_t make_rows(lowering *l, int32_t i, int32_t **inputs) {
    const cl_node *node = &l->graph->nodes[i];
    if (l->needs[i] & ALL) {
        const cl_step *step = add_step(l, l->take, l->take, node->channels, 1, inputs);
        step->inputs[0] = l->value_of[i];
        return step->output;
    }
    const bool keys = l->needs[node->inputs[0]] == KEYS; /* and only their attention reads them */
    const cl_step *step = add_step(l, node, l->take, node->channels, keys ? 2 : node->input_count, inputs);
    for (int32_t k = 0; k < node->input_count; k++)
        step->inputs[k] = (keys || reads_rows(l, node, k) ? l->rows_of : l->value_of)[node->inputs[k]];
    if (keys) step->inputs[1] = l->value_of[node->inputs[0]];
    return step->output;
}

static coulis_status lower(lowering *l, int32_t output, coulis_error *error) {
    cl_plan *plan = l->plan;
    const cl_graph *graph = l->graph;
    bool image = false;
    const int64_t input_count = mark_needed(l, output, &image);
    int32_t *inputs = plan->inputs = cl_alloc_zero((size_t)input_count + 1, sizeof *inputs);
    if (!inputs) return cl_fail_memory(error, "the plan of the network", (size_t)input_count * sizeof *inputs);
    /* Convolutions gather from the image, so its three channels need no padding. */
    add_value(plan, &graph->nodes[0], graph->nodes[0].channels, 3, -1);
    if (image) { /* reads value 0 */
        const cl_node *given = &graph->nodes[0];
        l->image = add_step(l, given, given, given->channels, 1, &inputs)->output;
    }
    for (int32_t i = 1; i <= output; i++) {
        if (l->needs[i] & ALL) l->value_of[i] = make_all(l, i, &inputs);
        if (l->needs[i] == KEYS) make_keys(l, i, &inputs);
        if (l->needs[i] & ROWS) l->rows_of[i] = make_rows(l, i, &inputs);
    }
    plan->output = l->value_of[output];
    return COULIS_OK;
}

coulis_status cl_plan_lower(cl_plan *plan, const cl_graph *graph, int32_t output, coulis_error *error) {
    const size_t count = 2 * (size_t)graph->node_count; /* a node may be there twice, and the image, too */
    plan->bgr = graph->bgr;
    for (int c = 0; c < 3; c++)
        for (int x = 0; x < 256; x++) plan->pixel[c][x] = (float)((x - graph->mean[c]) / graph->std[c]);
    plan->values = cl_alloc_zero(count, sizeof *plan->values);
    plan->steps = cl_alloc_zero(count, sizeof *plan->steps);
    lowering l = {.plan = plan,
                  .graph = graph,
                  .needs = cl_alloc_zero(count, sizeof *l.needs),
                  .value_of = cl_alloc_zero(count, sizeof *l.value_of),
                  .rows_of = cl_alloc_zero(count, sizeof *l.rows_of)};
    coulis_status status = plan->values && plan->steps && l.needs && l.value_of && l.rows_of
                               ? lower(&l, output, error)
                               : cl_fail_memory(error, "the plan of the network", count * sizeof *plan->steps);
    cl_free(l.needs);
    cl_free(l.value_of);
    cl_free(l.rows_of);
    return status;
}
