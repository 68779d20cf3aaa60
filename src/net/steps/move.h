/* What the steps share that only move numbers. */
#pragma once

#include "net/step.h"

/* `channels` of each of `rows` rows, in_step and out_step apart. */
static inline void cl_copy_channels(int64_t rows, int64_t channels, const float *in, int64_t in_step, float *out,
                                    int64_t out_step) {
    for (int64_t r = 0; r < rows; r++) memcpy(out + r * out_step, in + r * in_step, (size_t)channels * sizeof *out);
}
