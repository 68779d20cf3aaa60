/* Poolings. */
#include "net/graph_node.h"
#include "net/step.h"

/* The pixels of a pooling window at most. */
#define WINDOW_MAX (CL_KERNEL_MAX * CL_KERNEL_MAX)
/* Numbers that are pooled at a time over a whole map: they are walked through once for each register of channels,
 * and should lie in the first-level cache, of 32 KiB or more. */
#define CHUNK_NUMBERS 4096

static bool is_maximum(const cl_step *step) {
    return step->node->op == CL_OP_MAX_POOL || step->node->op == CL_OP_GLOBAL_MAX_POOL;
}

static void pool_pixels(const cl_plan *plan, const cl_step *step, const float *const *pixels, int64_t count,
                        float factor, float *result) {
    const int64_t channels = cl_step_input(plan, step)->stride;
    if (is_maximum(step)) plan->kernels->maximum(pixels, count, channels, result);
    else plan->kernels->sum(pixels, count, channels, factor, result);
}

/* All pixels of a map, a chunk at a time: what the chunks before have come to is the first "pixel" of the next, so
 * that the order does not depend on the chunks. */
static void pool_whole(const cl_plan *plan, const cl_step *step, const float *data, float *result) {
    const cl_value *in = cl_step_input(plan, step);
    const int64_t area = in->rows;
    const float *pixels[CHUNK_NUMBERS / 4 + 2]; /* a pixel has at least 4 numbers */
    int64_t chunk = CHUNK_NUMBERS / in->stride;
    if (chunk < 1) chunk = 1;
    for (int64_t first = 0; first < area; first += chunk) {
        const int64_t end = first + chunk < area ? first + chunk : area;
        int64_t count = 0;
        if (first > 0) pixels[count++] = result;
        for (int64_t p = first; p < end; p++) pixels[count++] = data + p * in->stride;
        pool_pixels(plan, step, pixels, count, end < area ? 1.0f : 1.0f / (float)area, result);
    }
}

static void pool_windows(const cl_plan *plan, const cl_step *step, const float *data, float *results) {
    const cl_value *in = cl_step_input(plan, step), *out = cl_step_output(plan, step);
    const cl_window *w = &step->node->window;
    const int64_t padded = (int64_t)w->kernel[0] * w->kernel[1];
    const float *pixels[WINDOW_MAX];
    for (int64_t y = 0; y < out->height; y++) {
        for (int64_t x = 0; x < out->width; x++) {
            int64_t count = 0;
            for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
                int64_t row = y * w->stride[0] - w->pad_before[0] + ky;
                for (int64_t kx = 0; kx < w->kernel[1] && row >= 0 && row < in->height; kx++) {
                    int64_t column = x * w->stride[1] - w->pad_before[1] + kx;
                    if (column >= 0 && column < in->width)
                        pixels[count++] = data + (row * in->width + column) * in->stride;
                }
            }
            pool_pixels(plan, step, pixels, count, 1.0f / (float)(step->node->count_padding ? padded : count),
                        results + (y * out->width + x) * out->stride);
        }
    }
}

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_plan *plan = run->plan;
    const bool whole = step->node->op == CL_OP_GLOBAL_MAX_POOL || step->node->op == CL_OP_GLOBAL_AVERAGE_POOL;
    for (int64_t p = 0; p < run->images; p++) {
        const float *in = cl_value_data(run, step->inputs[0]) + p * cl_step_input(plan, step)->size;
        float *out = cl_value_data(run, step->output) + p * cl_step_output(plan, step)->size;
        if (whole) pool_whole(plan, step, in, out);
        else pool_windows(plan, step, in, out);
    }
}

coulis_status cl_read_global(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)r;
    (void)json;
    (void)graph;
    node->height = node->width = 1;
    return COULIS_OK;
}

const cl_step_ops cl_step_pool = {.flags = CL_STEP_ACTIVATES, .run = run_all};
