/* 1x1 convolutions and dense layers: the rows of the value are the matrix as they are. */
#include "net/graph_node.h"
#include "net/pack.h"

/* `m` rows. */
static void rows(const cl_run *run, const cl_step *step, int64_t m, const float *in, const float *residual,
                 float *result) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    cl_gemm gemm = {.m = m,
                    .k = from->channels,
                    .columns = to->channels,
                    .a = in,
                    .a_stride = from->stride,
                    .b = step->weights,
                    .bias = step->bias,
                    .c = result,
                    .c_stride = to->stride,
                    .residual = residual,
                    .residual_stride = to->stride,
                    .low = step->low,
                    .high = step->high,
                    .zeros = step->zeros};
    if (step->reduced) {
        run->plan->reduced->product(&gemm, cl_scratch(run));
        cl_activate(run, step, m * to->stride, result);
    } else {
        if (step->activation.what != CL_ACTIVATION_NONE) gemm.activation = &step->activation;
        run->plan->kernels->gemm(&gemm);
    }
}

static void run_all(const cl_run *run, const cl_step *step) {
    rows(run, step, cl_step_output(run->plan, step)->rows * run->images, cl_value_data(run, step->inputs[0]),
         cl_residual_data(run, step), cl_value_data(run, step->output));
}

static void run_lines(const cl_run *run, const cl_step *step, int32_t y, int32_t end) {
    for (; y < end; y++)
        rows(run, step, cl_step_output(run->plan, step)->width, cl_value_line(run, step->inputs[0], y),
             cl_residual_line(run, step, y), cl_value_line(run, step->output, y));
}

static int64_t scratch(const cl_plan *plan, const cl_step *step) {
    return step->reduced ? cl_reduced_scratch_count(plan->reduced, cl_step_input(plan, step)->channels) : 0;
}

static bool accepts(const cl_graph *graph, const cl_node *node) {
    (void)graph;
    const cl_window *w = &node->window;
    /* The image's three channels are not padded: patches are gathered from it, whatever the kernel. Padding is less
     * than the kernel, so there is none. */
    return node->inputs[0] != 0 && node->groups == 1 && w->kernel[0] == 1 && w->kernel[1] == 1 && w->stride[0] == 1 &&
           w->stride[1] == 1;
}

coulis_status cl_read_dense(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    return cl_read_whole(r, json, "units", 1, CL_CHANNELS_MAX, &node->channels);
}

const cl_step_ops cl_step_pointwise = {
    .flags = CL_STEP_FOLDS | CL_STEP_ADDS | CL_STEP_CLAMPS | CL_STEP_ACTIVATES | CL_STEP_ACTIVE | CL_STEP_BY_ROW,
    .accepts = accepts,
    .pack = cl_pack_product,
    .scratch = scratch,
    .run = run_all,
    .run_lines = run_lines,
};
