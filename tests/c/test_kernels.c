/* Every kernel of every instruction set this machine has, against plain loops in float64. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "coulis.h"
#include "kernels/kernels.h"
#include "test.h"

static const cl_kernels *kernels; /* the table under test */

static uint32_t random_state;
static float next_random(void) { /* -1 to 1 */
    random_state = random_state * 1664525u + 1013904223u;
    return (float)(int32_t)random_state * 0x1p-31f;
}
static float *random_numbers(int64_t count) {
    float *numbers = cl_alloc((size_t)count, sizeof *numbers);
    for (int64_t i = 0; i < count; i++) numbers[i] = next_random();
    return numbers;
}
static int64_t padded(int64_t channels) { return (channels + kernels->lanes - 1) / kernels->lanes * kernels->lanes; }

/* What float32 sums of `terms` products of numbers up to 1 may differ from the exact: each addition rounds
 * a partial sum below `terms` by half a unit in the last place. */
static double allowed(int64_t terms) { return (double)(terms + 2) * (double)terms * FLT_EPSILON / 2 + FLT_EPSILON; }

static float clamp(double x, float low, float high) { return (float)(x < low ? low : x > high ? high : x); }

static void check_gemm(int64_t m, int64_t k, int64_t columns, int with_residual, float low, float high) {
    const int64_t n = padded(columns), a_stride = k + 3, c_stride = n + 16;
    float *a = random_numbers(m * a_stride), *b = random_numbers(k * columns), *bias = random_numbers(n);
    float *residual = random_numbers(m * n), *c = random_numbers(m * c_stride);
    float *packed = cl_alloc((size_t)kernels->gemm_packed_count(k, n), sizeof *packed);
    for (int64_t j = columns; j < n; j++) bias[j] = 0;
    kernels->gemm_pack(k, n, columns, b, columns, 1, packed);
    cl_gemm gemm = {.m = m, .k = k, .n = n, .a = a, .a_stride = a_stride, .b = packed, .bias = bias, .c = c,
                    .c_stride = c_stride, .residual = with_residual ? residual : NULL, .residual_stride = n,
                    .low = low, .high = high};
    kernels->gemm(&gemm);
    int wrong = 0;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = bias[j] + (with_residual ? (double)residual[i * n + j] : 0.0);
            for (int64_t x = 0; j < columns && x < k; x++) sum += (double)a[i * a_stride + x] * b[x * columns + j];
            if (fabs((double)c[i * c_stride + j] - (double)clamp(sum, low, high)) > allowed(k + 1)) wrong++;
        }
    }
    CHECK_MSG(wrong == 0, "%d of %dx%d wrong, k %d, %s", wrong, (int)m, (int)columns, (int)k, kernels->name);

    /* A row alone gives the bytes it gives among others. */
    float *alone = cl_alloc((size_t)n, sizeof *alone);
    int64_t row = m / 2;
    gemm.m = 1;
    gemm.a = a + row * a_stride;
    gemm.residual = with_residual ? residual + row * n : NULL;
    gemm.c = alone;
    kernels->gemm(&gemm);
    CHECK_MSG(memcmp(alone, c + row * c_stride, (size_t)n * sizeof *c) == 0, "m %d, %s", (int)m, kernels->name);
    cl_free(a), cl_free(b), cl_free(bias), cl_free(residual), cl_free(c), cl_free(packed), cl_free(alone);
}

static void gemm_agrees(void) {
    for (int64_t m = 1; m <= 17; m++) check_gemm(m, 5 + m, 3 * m, (int)(m % 2), -INFINITY, INFINITY);
    static const int64_t columns[] = {1, 4, 8, 15, 16, 17, 24, 31, 32, 33, 40, 47, 48, 49, 64, 80, 96, 112, 144};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) check_gemm(13, 27, columns[i], 1, 0, 6);
    check_gemm(1000, 64, 40, 0, 0, INFINITY);  /* more rows than one block */
    check_gemm(9, 2048, 40, 1, 0, INFINITY);   /* a block of few rows */
    check_gemm(3, 50000, 16, 0, -1, 1);        /* a row longer than a block */
}

static void check_depthwise(int32_t width, int64_t channels, int32_t kh, int32_t kw, int32_t stride, int32_t dilation,
                            int32_t pad, int missing_row) {
    const int64_t c = padded(channels);
    const int32_t reach = (kw - 1) * dilation + 1, out_width = (width + 2 * pad - reach) / stride + 1;
    if (width + 2 * pad < reach) return;
    float *in = random_numbers(kh * width * c), *weights = random_numbers(kh * kw * c), *bias = random_numbers(c);
    float *out = random_numbers(out_width * c);
    const float *rows[8];
    for (int32_t y = 0; y < kh; y++) rows[y] = y == missing_row ? NULL : in + y * width * c;
    cl_depthwise d = {.rows = rows, .channels = c, .input_width = width, .output_width = out_width, .kernel_height = kh,
                      .kernel_width = kw, .stride = stride, .dilation = dilation, .pad_left = pad, .weights = weights,
                      .bias = bias, .low = -1, .high = 2, .out = out};
    kernels->depthwise_row(&d);
    int wrong = 0;
    for (int32_t x = 0; x < out_width; x++) {
        for (int64_t i = 0; i < c; i++) {
            double sum = bias[i];
            for (int32_t ky = 0; ky < kh; ky++)
                for (int32_t kx = 0; kx < kw; kx++) {
                    int32_t column = x * stride - pad + kx * dilation;
                    if (column >= 0 && column < width && rows[ky])
                        sum += (double)rows[ky][column * c + i] * weights[(ky * kw + kx) * c + i];
                }
            if (fabs((double)out[x * c + i] - (double)clamp(sum, -1, 2)) > allowed(kh * kw + 1)) wrong++;
        }
    }
    CHECK_MSG(wrong == 0, "%d wrong: width %d, kernel %dx%d, stride %d, pad %d, %s", wrong, width, kh, kw, stride, pad,
              kernels->name);
    cl_free(in), cl_free(weights), cl_free(bias), cl_free(out);
}

static void depthwise_agrees(void) {
    static const int32_t sizes[] = {1, 2, 3, 5, 7};
    for (int s = 0; s < 5; s++)
        for (int32_t stride = 1; stride <= 3; stride++)
            for (int32_t width = 1; width <= 15; width += 1)
                for (int32_t pad = 0; pad < sizes[s] && pad < 4; pad++) {
                    check_depthwise(width, 24, sizes[s], sizes[s], stride, 1, pad, -1);
                    check_depthwise(width, 7, sizes[s], sizes[s], stride, 1, pad, 0);
                }
    check_depthwise(112, 32, 3, 3, 1, 1, 1, -1);
    check_depthwise(20, 16, 3, 3, 1, 2, 2, 2);
    check_depthwise(20, 16, 3, 5, 1, 1, 2, -1);
}

static void elementwise_agrees(void) {
    const int64_t channels = padded(20), pixels = 9, count = channels * pixels;
    float *a = random_numbers(count), *b = random_numbers(count), *out = random_numbers(count);
    float *scale = random_numbers(channels), *shift = random_numbers(channels);
    int wrong = 0;
    kernels->add(a, b, count, -0.5f, 0.5f, out);
    for (int64_t i = 0; i < count; i++) wrong += out[i] != clamp((double)(a[i] + b[i]), -0.5f, 0.5f);
    CHECK_MSG(wrong == 0, "add, %s", kernels->name);
    kernels->scale(a, pixels, channels, scale, shift, -1, 1, out);
    wrong = 0;
    for (int64_t i = 0; i < count; i++) {
        double exact = (double)a[i] * scale[i % channels] + shift[i % channels];
        wrong += fabs((double)out[i] - (double)clamp(exact, -1, 1)) > FLT_EPSILON * 2;
    }
    CHECK_MSG(wrong == 0, "scale, %s", kernels->name);
    const float *windows[9];
    for (int i = 0; i < 9; i++) windows[i] = a + i * channels;
    kernels->maximum(windows, 9, channels, out);
    wrong = 0;
    for (int64_t c = 0; c < channels; c++) {
        float most = windows[0][c];
        for (int i = 1; i < 9; i++) most = windows[i][c] > most ? windows[i][c] : most;
        wrong += out[c] != most;
    }
    CHECK_MSG(wrong == 0, "maximum, %s", kernels->name);
    kernels->sum(windows, 9, channels, 1.0f / 9, out);
    wrong = 0;
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0;
        for (int i = 0; i < 9; i++) sum += windows[i][c];
        wrong += fabs((double)out[c] - sum / 9) > allowed(9);
    }
    CHECK_MSG(wrong == 0, "sum, %s", kernels->name);
    cl_free(a), cl_free(b), cl_free(out), cl_free(scale), cl_free(shift);
}

static void the_choice_is_the_best(void) {
    const cl_kernels *best = NULL;
    for (int level = CL_CPU_SCALAR; level <= CL_CPU_AVX512; level++)
        if (cl_kernels_for((cl_cpu_level)level)) best = cl_kernels_for((cl_cpu_level)level);
    CHECK(getenv("COULIS_CPU") != NULL || cl_kernels_get() == best);
    CHECK(strcmp(cl_kernels_get()->name, coulis_instruction_set()) == 0);
}

int main(void) {
    for (int level = CL_CPU_SCALAR; level <= CL_CPU_AVX512; level++) {
        kernels = cl_kernels_for((cl_cpu_level)level);
        if (!kernels) continue;
        printf("%s:\n", kernels->name);
        RUN(gemm_agrees);
        RUN(depthwise_agrees);
        RUN(elementwise_agrees);
    }
    RUN(the_choice_is_the_best);
    return test_finish();
}
