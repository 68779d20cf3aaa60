/* Steps that only move numbers. */
#include <string.h>

#include "net/steps.h"

/* `channels` of each of `pixels` pixels, in_step and out_step apart. */
static void copy_channels(int64_t pixels, int64_t channels, const float *in, int64_t in_step, float *out,
                          int64_t out_step) {
    for (int64_t p = 0; p < pixels; p++) memcpy(out + p * out_step, in + p * in_step, (size_t)channels * sizeof *out);
}

/* Zeros for what pads the channels. */
static void clear_padding(int64_t pixels, const cl_value *value, float *out) {
    const size_t room = (size_t)(value->stride - value->channels) * sizeof *out;
    for (int64_t p = 0; room > 0 && p < pixels; p++) memset(out + p * value->stride + value->channels, 0, room);
}

static void shuffle(int64_t pixels, int64_t groups, const cl_value *value, const float *in, float *out) {
    const int64_t columns = value->channels / groups;
    for (int64_t p = 0; p < pixels; p++, in += value->stride, out += value->stride)
        for (int64_t row = 0; row < groups; row++)
            for (int64_t c = 0; c < columns; c++) out[c * groups + row] = in[row * columns + c];
}

static void pad(const cl_step *step, const cl_value *from, const cl_value *to, const float *in, float *out) {
    const int64_t top = step->node->window.pad_before[0], left = step->node->window.pad_before[1];
    const int64_t row = (int64_t)to->width * to->stride, size = to->height * row;
    for (int64_t i = 0; i < size; i++) out[i] = (float)step->node->b;
    for (int64_t y = 0; y < from->height; y++)
        copy_channels(1, from->width * from->stride, in + y * from->width * from->stride, 0,
                      out + (top + y) * row + left * to->stride, 0);
}

static void move_picture(const cl_run *run, const cl_step *step, int64_t picture) {
    const cl_value *values = run->plan->values, *from = &values[step->input], *to = &values[step->output];
    const float *in = cl_value_data(run, step->input) + picture * from->size;
    float *out = cl_value_data(run, step->output) + picture * to->size;
    int64_t pixels = (int64_t)from->height * from->width, filled = from->channels;
    switch (step->kind) {
    case CL_STEP_CONCAT:
        copy_channels(pixels, from->channels, in, from->stride, out, to->stride);
        for (int32_t i = 0; i < step->more_count; i++) {
            const cl_value *more = &values[step->more[i]];
            copy_channels(pixels, more->channels, cl_value_data(run, step->more[i]) + picture * more->size,
                          more->stride, out + filled, to->stride);
            filled += more->channels;
        }
        break;
    case CL_STEP_SLICE:
        copy_channels(pixels, to->channels, in + step->node->first, from->stride, out, to->stride);
        break;
    case CL_STEP_SHUFFLE: shuffle(pixels, step->node->groups, to, in, out); break;
    case CL_STEP_PAD: pad(step, from, to, in, out); return;
    case CL_STEP_FLATTEN:
        copy_channels(pixels, from->channels, in, from->stride, out, from->channels);
        pixels = 1;
        break;
    default: copy_channels(pixels, from->channels, in, from->stride, out, to->stride); break; /* the picture */
    }
    clear_padding(pixels, to, out);
}

void cl_run_move(const cl_run *run, const cl_step *step) {
    for (int64_t p = 0; p < run->pictures; p++) move_picture(run, step, p);
}
