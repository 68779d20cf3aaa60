/* Depthwise convolutions: each channel has a filter of its own. */
#include "net/pack.h"

/* Neighbouring lines share input. */
#define LINES 2

static coulis_status pack(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error) {
    const cl_node *node = step->node;
    int64_t stride = cl_step_output(plan, step)->stride;
    int64_t taps = (int64_t)node->window.kernel[0] * node->window.kernel[1];
    coulis_status status = cl_pack_room(step, taps * stride, stride, error);
    if (status) return status;
    const float *weight = cl_model_weight(model, node, CL_WEIGHT); /* channel, 1, height, width */
    for (int64_t c = 0; c < node->channels; c++) {
        double scale, shift;
        cl_pack_fold(model, step->norm, c, &scale, &shift);
        for (int64_t t = 0; t < taps; t++)
            step->weights[cl_depthwise_weight(plan->kernels, taps, t, c)] = (float)(weight[c * taps + t] * scale);
        step->bias[c] = cl_pack_bias(model, node, c, scale, shift);
    }
    return COULIS_OK;
}

/* Lines y .. end-1, at most two, of one image of several. */
static void lines(const cl_run *run, const cl_step *step, int32_t image, int32_t y, int32_t end) {
    const cl_value *in = cl_step_input(run->plan, step), *out = cl_step_output(run->plan, step);
    const cl_window *w = &step->node->window;
    const float *rows[2][CL_KERNEL_MAX];
    cl_depthwise d = {.channels = in->stride,
                      .input_width = in->width,
                      .output_width = out->width,
                      .kernel_height = w->kernel[0],
                      .kernel_width = w->kernel[1],
                      .stride = w->stride[0],
                      .dilation = w->dilation[0],
                      .pad_left = w->pad_before[1],
                      .weights = step->weights,
                      .bias = step->bias,
                      .low = step->low,
                      .high = step->high};
    for (int32_t r = 0; y + r < end; r++) {
        for (int32_t ky = 0; ky < w->kernel[0]; ky++) {
            int32_t line = (y + r) * w->stride[0] - w->pad_before[0] + ky * w->dilation[0];
            bool inside = line >= 0 && line < in->height;
            rows[r][ky] = inside ? cl_value_line(run, step->inputs[0], line) + image * in->size : NULL;
        }
        d.rows[r] = rows[r];
        d.out[r] = cl_value_line(run, step->output, y + r) + image * out->size;
    }
    run->plan->kernels->depthwise(&d);
}

static void run_lines(const cl_run *run, const cl_step *step, int32_t y, int32_t end) { lines(run, step, 0, y, end); }

static void run_all(const cl_run *run, const cl_step *step) {
    const int32_t height = cl_step_output(run->plan, step)->height;
    for (int32_t p = 0; p < run->images; p++)
        for (int32_t y = 0; y < height; y += LINES) lines(run, step, p, y, y + LINES < height ? y + LINES : height);
}

static bool accepts(const cl_graph *graph, const cl_node *node) {
    const cl_window *w = &node->window;
    return node->inputs[0] != 0 && node->groups > 1 && node->groups == node->channels &&
           graph->nodes[node->inputs[0]].channels == node->channels && w->stride[0] == w->stride[1] &&
           w->dilation[0] == w->dilation[1];
}

const cl_step_ops cl_step_depthwise = {
    .flags = CL_STEP_FOLDS | CL_STEP_CLAMPS | CL_STEP_ACTIVATES | CL_STEP_WINDOW | CL_STEP_STREAMS,
    .accepts = accepts,
    .pack = pack,
    .run = run_all,
    .run_lines = run_lines,
    .lines_together = LINES,
};
