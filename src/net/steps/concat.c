/* The channels of several values one after another. */
#include "net/graph_node.h"
#include "net/steps/move.h"

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *to = cl_step_output(run->plan, step);
    for (int64_t p = 0; p < run->images; p++) {
        float *out = cl_value_data(run, step->output) + p * to->size;
        int64_t filled = 0;
        for (int32_t i = 0; i < step->input_count; i++) {
            const cl_value *from = &run->plan->values[step->inputs[i]];
            cl_copy_channels(to->rows, from->channels, cl_value_data(run, step->inputs[i]) + p * from->size,
                             from->stride, out + filled, to->stride);
            filled += from->channels;
        }
        cl_clear_padding(to->rows, to, out);
    }
}

coulis_status cl_read_concat(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)json;
    const cl_node *input = cl_node_input(graph, node, 0);
    int64_t channels = 0;
    for (int32_t i = 0; i < node->input_count; i++) {
        const cl_node *other = cl_node_input(graph, node, i);
        if (other->height != input->height || other->width != input->width)
            return cl_refuse(r, "maps of %dx%d and %dx%d pixels do not match", input->height, input->width,
                             other->height, other->width);
        channels += other->channels;
    }
    if (channels > CL_VECTOR_MAX) return cl_refuse(r, "more than %d channels", CL_VECTOR_MAX);
    node->channels = (int32_t)channels;
    return COULIS_OK;
}

const cl_step_ops cl_step_concat = {.flags = CL_STEP_ACTIVATES, .run = run_all};
