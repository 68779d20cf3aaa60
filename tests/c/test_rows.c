/* Kernels that work on rows of tokens, against float64, for every instruction set of this machine. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/kernels.h"
#include "exact.h"
#include "random.h"
#include "test.h"

/* Rows of `channels` numbers around `centre`, `spread` from it at most. What pads them is NaN. */
static void check_layer_norm(int64_t channels, float centre, float spread) {
    enum { ROWS = 3 };
    const int64_t stride = padded(channels);
    float *in = random_numbers(ROWS * stride), *scale = random_numbers(stride), *shift = random_numbers(stride);
    float *out = random_numbers(ROWS * stride), *alone = random_numbers(stride);
    for (int64_t i = 0; i < ROWS * stride; i++) in[i] = i % stride < channels ? centre + spread * in[i] : NAN;
    cl_layer_norm n = {.rows = ROWS,
                       .channels = channels,
                       .stride = stride,
                       .epsilon = 1e-6,
                       .in = in,
                       .scale = scale,
                       .shift = shift,
                       .out = out};
    kernels->layer_norm(&n);
    double worst = 0;
    for (int64_t r = 0; r < ROWS; r++) {
        const float *row = in + r * stride;
        double mean = 0, variance = 0;
        for (int64_t c = 0; c < channels; c++) mean += (double)row[c] / (double)channels;
        for (int64_t c = 0; c < channels; c++) variance += pow((double)row[c] - mean, 2) / (double)channels;
        const double root = sqrt(variance + 1e-6);
        for (int64_t c = 0; c < channels; c++) {
            const double right = ((double)row[c] - mean) / root * (double)scale[c] + (double)shift[c];
            worst = fmax(worst, fabs((double)out[r * stride + c] - right));
        }
        n.rows = 1, n.in = row, n.out = alone;
        kernels->layer_norm(&n);
        CHECK_MSG(memcmp(alone, out + r * stride, (size_t)channels * sizeof *out) == 0, "row %d alone", (int)r);
    }
    /* Rounding of the numbers and of the mean is relative to the centre, in standard deviations of spread / sqrt(3);
     * where all are equal, in roots of epsilon. Sums add some roundings of either. */
    const double deviation = channels > 1 ? fmax((double)spread / sqrt(3), 1e-3) : 1e-3;
    const double bound = (8 + (double)channels / 32) * 0x1p-24 * (fabs((double)centre) / deviation + 4);
    CHECK_MSG(worst <= bound, "%s: %d channels around %g by %g: %g", kernels->name, (int)channels, (double)centre,
              (double)spread, worst);
    cl_free(in), cl_free(scale), cl_free(shift), cl_free(out), cl_free(alone);
}

static void layer_norm_agrees(void) {
    for (int64_t channels = 1; channels < 70; channels++) check_layer_norm(channels, 0, 1);
    check_layer_norm(384, 0, 1);
    check_layer_norm(768, 5, 1);
    check_layer_norm(1280, -100, 3);
    check_layer_norm(1000, 0, 1e4f);
    check_layer_norm(96, 2, 0); /* equal numbers */
}

static void check_softmax(int64_t count, float scale, float spread, int64_t seen) {
    enum { ROWS = 5 };
    const int64_t stride = padded(count) + padded(1);
    float *in = random_numbers(ROWS * stride), *out = random_numbers(ROWS * stride), sums[ROWS];
    for (int64_t i = 0; i < ROWS * stride; i++) in[i] = i % stride < count ? spread * in[i] : NAN;
    memcpy(out, in, (size_t)(ROWS * stride) * sizeof *out);
    const cl_softmax s = {
        .rows = ROWS, .count = count, .stride = stride, .seen = seen, .scale = scale, .data = out, .sums = sums};
    kernels->softmax(&s);
    double worst = 0;
    int rest = 0;
    for (int64_t r = 0; r < ROWS; r++) {
        const int64_t own = seen + r + 1 < count ? seen + r + 1 : count;
        const float *row = in + r * stride, *powers = out + r * stride;
        double most = -INFINITY, sum = 0;
        for (int64_t c = 0; c < own; c++) most = fmax(most, (double)row[c]);
        for (int64_t c = 0; c < own; c++) sum += exp((double)scale * ((double)row[c] - most));
        for (int64_t c = 0; c < own; c++) {
            const double right = exp((double)scale * ((double)row[c] - most)) / sum;
            worst = fmax(worst, fabs((double)powers[c] / (double)sums[r] - right) / fmax(right, 1e-30));
        }
        for (int64_t c = own; c < stride; c++) rest += powers[c] != 0;
    }
    /* The argument of exp is rounded to the size of the largest number, the power by 1.5 u, the sum by some more. */
    const double bound = (4 + (double)count / 16 + 2 * (double)scale * (double)spread) * 0x1p-24;
    CHECK_MSG(worst <= bound && rest == 0, "%s: %d numbers: %g, %d not 0", kernels->name, (int)count, worst, rest);
    cl_free(in), cl_free(out);
}

static void softmax_agrees(void) {
    for (int64_t count = 1; count < 40; count++) check_softmax(count, 1, 3, count);
    check_softmax(300, 0.125f, 200, 300);
    check_softmax(197, 0.125f, 0, 197);
    for (int64_t seen = 0; seen < 20; seen += 3) check_softmax(20, 0.5f, 4, seen);
    /* Far below the largest a power stays small, and never 0 or NaN. */
    const int64_t stride = padded(2);
    float *row = random_numbers(stride), sum;
    row[0] = 1e30f, row[1] = -1e30f;
    kernels->softmax(
        &(cl_softmax){.rows = 1, .count = 2, .stride = stride, .seen = 2, .scale = 1, .data = row, .sums = &sum});
    CHECK_MSG(row[0] == 1 && row[1] >= 0 && row[1] < 2e-38f && sum == 1, "%g %g %g", (double)row[0], (double)row[1],
              (double)sum);
    cl_free(row);
}

int main(void) {
    for (int level = CL_CPU_SCALAR; level <= CL_CPU_AVX512; level++) {
        kernels = cl_kernels_for((cl_cpu_level)level);
        if (!kernels) continue;
        printf("%s:\n", kernels->name);
        RUN(layer_norm_agrees);
        RUN(softmax_agrees);
    }
    return test_finish();
}
