/* What the steps share that only move numbers. */
#pragma once

#include "net/step.h"

/* `channels` of each of `rows` rows, in_step and out_step apart. */
static inline void cl_copy_channels(int64_t rows, int64_t channels, const float *in, int64_t in_step, float *out,
                                    int64_t out_step) {
    for (int64_t r = 0; r < rows; r++) memcpy(out + r * out_step, in + r * in_step, (size_t)channels * sizeof *out);
}

/* Zeros for what pads the channels of the first `rows` rows of `value`. */
static inline void cl_clear_padding(int64_t rows, const cl_value *value, float *out) {
    const size_t room = (size_t)(value->stride - value->channels) * sizeof *out;
    for (int64_t r = 0; room > 0 && r < rows; r++) memset(out + r * value->stride + value->channels, 0, room);
}
