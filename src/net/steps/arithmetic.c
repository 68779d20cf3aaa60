/* Two values of the same shape, or one and a vector that meets each of its rows. */
#include "net/graph_node.h"
#include "net/step.h"

static void rows(const cl_run *run, const cl_step *step, int64_t count, const float *in, const float *other,
                 float *result) {
    const cl_value *values = run->plan->values, *out = cl_step_output(run->plan, step);
    const cl_value *a = &values[step->inputs[0]], *b = &values[step->inputs[1]];
    const cl_arithmetic arithmetic = {.op = step->node->op == CL_OP_ADD        ? CL_ADD
                                            : step->node->op == CL_OP_SUBTRACT ? CL_SUBTRACT
                                            : step->node->op == CL_OP_MULTIPLY ? CL_MULTIPLY
                                                                               : CL_DIVIDE,
                                      .a = in,
                                      .b = other,
                                      .a_step = a->rows > 1 ? a->stride : 0,
                                      .b_step = b->rows > 1 ? b->stride : 0,
                                      .pixels = count,
                                      .channels = out->stride,
                                      .low = step->low,
                                      .high = step->high,
                                      .out = result};
    run->plan->kernels->arithmetic(&arithmetic);
}

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *values = run->plan->values, *out = cl_step_output(run->plan, step);
    for (int64_t p = 0; p < run->images; p++)
        rows(run, step, out->rows, cl_value_data(run, step->inputs[0]) + p * values[step->inputs[0]].size,
             cl_value_data(run, step->inputs[1]) + p * values[step->inputs[1]].size,
             cl_value_data(run, step->output) + p * out->size);
}

static void run_lines(const cl_run *run, const cl_step *step, int32_t y, int32_t end) {
    for (; y < end; y++) /* every line of a vector is its only one */
        rows(run, step, cl_step_output(run->plan, step)->width, cl_value_line(run, step->inputs[0], y),
             cl_value_line(run, step->inputs[1], y), cl_value_line(run, step->output, y));
}

coulis_status cl_read_arithmetic(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)json;
    const cl_node *input = cl_node_input(graph, node, 0), *other = cl_node_input(graph, node, 1);
    const bool spread = input->height == 1 && input->width == 1; /* the first over the area of the second */
    if (other->channels != input->channels || (!spread && !(other->height == 1 && other->width == 1) &&
                                               (other->height != input->height || other->width != input->width)))
        return cl_refuse(r, "%dx%dx%d and %dx%dx%d do not match", input->height, input->width, input->channels,
                         other->height, other->width, other->channels);
    if (spread) {
        node->height = other->height;
        node->width = other->width;
    }
    return COULIS_OK;
}

const cl_step_ops cl_step_arithmetic = {
    .flags = CL_STEP_CLAMPS | CL_STEP_ACTIVATES | CL_STEP_BY_ROW,
    .run = run_all,
    .run_lines = run_lines,
};
