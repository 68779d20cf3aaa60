/* The steps that only move numbers: to other places in a row, to another row, or behind those of another value. */
#include "net/graph_node.h"
#include "net/step.h"

/* `channels` of each of `rows` rows, in_step and out_step apart. */
static void copy_channels(int64_t rows, int64_t channels, const float *in, int64_t in_step, float *out,
                          int64_t out_step) {
    for (int64_t r = 0; r < rows; r++) memcpy(out + r * out_step, in + r * in_step, (size_t)channels * sizeof *out);
}

/* ---- image: as a map like any other, for what can't read it as it is; slice: some of the channels ---- */

static void copy_from(const cl_run *run, const cl_step *step, int32_t first) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]) + first;
    float *out = cl_value_data(run, step->output);
    for (int64_t p = 0; p < run->images; p++, in += from->size, out += to->size) {
        copy_channels(to->rows, to->channels, in, from->stride, out, to->stride);
        cl_clear_padding(to->rows, to, out);
    }
}

static void run_image(const cl_run *run, const cl_step *step) { copy_from(run, step, 0); }
static void run_slice(const cl_run *run, const cl_step *step) { copy_from(run, step, step->node->first); }

coulis_status cl_read_slice(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    coulis_status status = cl_read_whole(r, json, "first", 0, node->channels - 1, &node->first);
    if (status) return status;
    return cl_read_whole(r, json, "channels", 1, node->channels - node->first, &node->channels);
}

const cl_step_ops cl_step_image = {.flags = 0, .run = run_image};
const cl_step_ops cl_step_slice = {.flags = CL_STEP_ACTIVATES, .run = run_slice};

/* ---- take: some of the rows: a token, or the tokens of the patches ---- */

static void run_take(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]) + step->node->first * from->stride;
    float *out = cl_value_data(run, step->output);
    for (int64_t p = 0; p < run->images; p++)
        memcpy(out + p * to->size, in + p * from->size, (size_t)to->size * sizeof *out);
}

const cl_step_ops cl_step_take = {.flags = CL_STEP_ACTIVATES, .run = run_take};

/* ---- flatten: a vector of all numbers, without what pads their channels ---- */

static void run_flatten(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    for (int64_t p = 0; p < run->images; p++, in += from->size, out += to->size) {
        copy_channels(from->rows, from->channels, in, from->stride, out, from->channels);
        cl_clear_padding(1, to, out);
    }
}

coulis_status cl_read_flatten(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)json;
    (void)graph;
    int64_t count = (int64_t)node->height * node->width * node->channels;
    if (count > CL_VECTOR_MAX) return cl_refuse(r, "a vector of more than %d numbers", CL_VECTOR_MAX);
    node->channels = (int32_t)count;
    node->height = node->width = 1;
    return COULIS_OK;
}

const cl_step_ops cl_step_flatten = {.flags = CL_STEP_ACTIVATES, .run = run_flatten};

/* ---- pad: a border around a map ---- */

static void run_pad(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    const int64_t top = step->node->window.pad_before[0], left = step->node->window.pad_before[1];
    const int64_t line = (int64_t)to->width * to->stride, in_line = from->width * from->stride;
    for (int64_t p = 0; p < run->images; p++, in += from->size, out += to->size) {
        for (int64_t i = 0; i < to->height * line; i++) out[i] = (float)step->node->value;
        copy_channels(from->height, in_line, in, in_line, out + top * line + left * to->stride, line);
    }
}

const cl_step_ops cl_step_pad = {.flags = CL_STEP_ACTIVATES, .run = run_pad};

/* ---- shuffle: channels written as a table of rows, read by columns ---- */

static void run_shuffle(const cl_run *run, const cl_step *step) {
    const cl_value *from = cl_step_input(run->plan, step), *to = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    const int64_t groups = step->node->groups, columns = from->channels / groups;
    for (int64_t r = 0; r < to->rows * run->images; r++, in += from->stride, out += to->stride)
        for (int64_t row = 0; row < groups; row++)
            for (int64_t c = 0; c < columns; c++) out[c * groups + row] = in[row * columns + c];
    cl_clear_padding(to->rows * run->images, to, cl_value_data(run, step->output));
}

coulis_status cl_read_shuffle(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    coulis_status status = cl_read_whole(r, json, "groups", 1, CL_CHANNELS_MAX, &node->groups);
    if (!status && node->channels % node->groups != 0)
        return cl_refuse(r, "%d groups do not divide %d channels", node->groups, node->channels);
    return status;
}

const cl_step_ops cl_step_shuffle = {.flags = CL_STEP_ACTIVATES, .run = run_shuffle};

/* ---- concat: the channels of several values one after another ---- */

static void run_concat(const cl_run *run, const cl_step *step) {
    const cl_value *to = cl_step_output(run->plan, step);
    for (int64_t p = 0; p < run->images; p++) {
        float *out = cl_value_data(run, step->output) + p * to->size;
        int64_t filled = 0;
        for (int32_t i = 0; i < step->input_count; i++) {
            const cl_value *from = &run->plan->values[step->inputs[i]];
            copy_channels(to->rows, from->channels, cl_value_data(run, step->inputs[i]) + p * from->size, from->stride,
                          out + filled, to->stride);
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
            return cl_refuse(r, "maps of %dx%d and %dx%d pixels do not fit together", input->height, input->width,
                             other->height, other->width);
        channels += other->channels;
    }
    if (channels > CL_VECTOR_MAX) return cl_refuse(r, "more than %d channels", CL_VECTOR_MAX);
    node->channels = (int32_t)channels;
    return COULIS_OK;
}

const cl_step_ops cl_step_concat = {.flags = CL_STEP_ACTIVATES, .run = run_concat};
