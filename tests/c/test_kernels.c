/* Every kernel of every instruction set this machine has, against plain loops in float64. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "coulis.h"
#include "kernels/kernels.h"
#include "exact.h"
#include "random.h"
#include "test.h"

static void check_depthwise(int32_t width, int64_t channels, int32_t kh, int32_t kw, int32_t stride, int32_t dilation,
                            int32_t pad, int missing_row) {
    const int64_t c = padded(channels);
    const int32_t reach = (kw - 1) * dilation + 1, out_width = (width + 2 * pad - reach) / stride + 1;
    if (width + 2 * pad < reach) return;
    const int32_t height = stride + (kh - 1) * dilation + 1;
    float *in = random_numbers(height * width * c), *weights = random_numbers(kh * kw * c);
    float *bias = random_numbers(c);
    float *out = random_numbers(2 * out_width * c), *alone = random_numbers(out_width * c);
    /* Two rows of the output, of which the second begins `stride` rows of the input later; then the second alone. */
    const float *rows[2][8];
    for (int32_t r = 0; r < 2; r++)
        for (int32_t y = 0; y < kh; y++) {
            const int32_t line = r * stride + y * dilation;
            rows[r][y] = line == missing_row ? NULL : in + line * width * c;
        }
    cl_depthwise d = {.rows = {rows[0], rows[1]},
                      .channels = c,
                      .input_width = width,
                      .output_width = out_width,
                      .kernel_height = kh,
                      .kernel_width = kw,
                      .stride = stride,
                      .dilation = dilation,
                      .pad_left = pad,
                      .weights = weights,
                      .bias = bias,
                      .low = -1,
                      .high = 2,
                      .out = {out, out + out_width * c}};
    kernels->depthwise(&d);
    d.rows[0] = rows[1];
    d.rows[1] = NULL;
    d.out[0] = alone;
    kernels->depthwise(&d);
    int wrong = 0;
    for (int32_t x = 0; x < 2 * out_width; x++) {
        const float *const *from = rows[x / out_width];
        for (int64_t i = 0; i < c; i++) {
            exact e = {bias[i], 0};
            for (int32_t ky = 0; ky < kh; ky++)
                for (int32_t kx = 0; kx < kw; kx++) {
                    int32_t column = x % out_width * stride - pad + kx * dilation;
                    if (column >= 0 && column < width && from[ky])
                        add_product(&e, from[ky][column * c + i],
                                    weights[cl_depthwise_weight(kernels, kh * kw, ky * kw + kx, i)]);
                }
            wrong += differs(out[x * c + i], &e, -1, 2);
        }
    }
    CHECK_MSG(memcmp(alone, out + out_width * c, (size_t)(out_width * c) * sizeof *out) == 0,
              "a row alone has other bytes: width %d, kernel %dx%d, stride %d, %s", width, kh, kw, stride,
              kernels->name);
    CHECK_MSG(wrong == 0, "%d wrong: width %d, kernel %dx%d, stride %d, pad %d, %s", wrong, width, kh, kw, stride, pad,
              kernels->name);
    cl_free(in), cl_free(weights), cl_free(bias), cl_free(out), cl_free(alone);
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

/* Each operator on two maps, and on a map and a vector, in both orders. One rounding: to the bit. */
static void arithmetic_agrees(void) {
    const int64_t channels = padded(20), pixels = 9, count = channels * pixels;
    float *a = random_numbers(count), *b = random_numbers(count), *out = random_numbers(count);
    for (int op = CL_ADD; op <= CL_DIVIDE; op++) {
        for (int spread = 0; spread < 3; spread++) {
            cl_arithmetic arithmetic = {.op = (cl_operator)op,
                                        .a = a,
                                        .b = b,
                                        .a_step = spread == 1 ? 0 : channels,
                                        .b_step = spread == 2 ? 0 : channels,
                                        .pixels = pixels,
                                        .channels = channels,
                                        .low = -0.5f,
                                        .high = 0.75f,
                                        .out = out};
            kernels->arithmetic(&arithmetic);
            int wrong = 0;
            for (int64_t i = 0; i < count; i++) {
                const float x = a[spread == 1 ? i % channels : i], y = b[spread == 2 ? i % channels : i];
                const float z = op == CL_ADD ? x + y : op == CL_SUBTRACT ? x - y : op == CL_MULTIPLY ? x * y : x / y;
                wrong += out[i] != fminf(fmaxf(z, -0.5f), 0.75f);
            }
            CHECK_MSG(wrong == 0, "operator %d, spread %d, %s", op, spread, kernels->name);
        }
    }
    cl_free(a), cl_free(b), cl_free(out);
}

static void add(const float *a, const float *b, int64_t count, float low, float high, float *out) {
    const cl_arithmetic sum = {
        .op = CL_ADD, .a = a, .b = b, .pixels = 1, .channels = count, .low = low, .high = high, .out = out};
    kernels->arithmetic(&sum);
}

static void elementwise_agrees(void) {
    const int64_t channels = padded(20), pixels = 9, count = channels * pixels;
    float *a = random_numbers(count), *b = random_numbers(count), *out = random_numbers(count);
    float *scale = random_numbers(channels), *shift = random_numbers(channels);
    int wrong = 0;
    kernels->scale(a, pixels, channels, scale, shift, -1, 1, out);
    for (int64_t i = 0; i < count; i++) {
        exact e = {shift[i % channels], 0};
        add_product(&e, a[i], scale[i % channels]);
        wrong += differs(out[i], &e, -1, 1);
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
        exact e = {0, 0};
        for (int i = 0; i < 9; i++) add_product(&e, windows[i][c], 1.0f / 9);
        wrong += differs(out[c], &e, -INFINITY, INFINITY);
    }
    CHECK_MSG(wrong == 0, "sum, %s", kernels->name);
    cl_free(a), cl_free(b), cl_free(out), cl_free(scale), cl_free(shift);
}

/* The same on every processor: min and max give their second operand when the first is NaN or the same zero, and
 * a product is rounded before it is added only in the portable kernels. */
static void odd_numbers_agree(void) {
    enum { COUNT = 16 }; /* the most lanes */
    float one[COUNT], other[COUNT], third[COUNT], out[COUNT];
    for (int i = 0; i < COUNT; i++) one[i] = NAN, other[i] = (float)i, third[i] = i % 2 ? 0.5f : NAN;
    add(one, other, COUNT, -3, 6, out);
    int wrong = 0;
    for (int i = 0; i < COUNT; i++) wrong += out[i] != -3.0f;
    CHECK_MSG(wrong == 0, "NaN is not the lower bound, %s", kernels->name);

    const float *pixels[3] = {one, other, third};
    kernels->maximum(pixels, 3, COUNT, out);
    wrong = 0;
    for (int i = 0; i < COUNT; i++) wrong += i % 2 ? out[i] != (float)i : !isnan(out[i]);
    CHECK_MSG(wrong == 0, "maximum with NaN, %s", kernels->name);

    for (int i = 0; i < COUNT; i++) one[i] = i % 2 ? 0.0f : -0.0f, other[i] = -one[i];
    kernels->maximum(pixels, 2, COUNT, out);
    CHECK_MSG(memcmp(out, other, sizeof out) == 0, "maximum of zeros, %s", kernels->name);

    for (int i = 0; i < COUNT; i++) one[i] = -0.0f;
    add(one, one, COUNT, -1, 0, out);
    wrong = 0;
    for (int i = 0; i < COUNT; i++) wrong += signbit(out[i]) != 0;
    CHECK_MSG(wrong == 0, "minimum of zeros, %s", kernels->name);

    /* (1 + 2^-12)^2 is 2^-24 more than a float next to it. */
    for (int i = 0; i < COUNT; i++) one[i] = other[i] = 1 + 0x1p-12f, third[i] = -(1 + 0x1p-11f);
    kernels->scale(one, 1, COUNT, other, third, -INFINITY, INFINITY, out);
    const float rest = strcmp(kernels->name, "scalar") == 0 ? 0 : 0x1p-24f;
    wrong = 0;
    for (int i = 0; i < COUNT; i++) wrong += out[i] != rest;
    CHECK_MSG(wrong == 0, "a product and a sum leave %g, %s", (double)out[0], kernels->name);
}

/* For a of rows x 6 and b of columns x 6: out = a in b^T, of rows x columns. */
static void transformed(int rows, int columns, const double *a, const double *b, const double *in, double *out) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            double sum = 0;
            for (int y = 0; y < 6; y++)
                for (int x = 0; x < 6; x++) sum += a[i * 6 + y] * in[y * 6 + x] * b[j * 6 + x];
            out[i * columns + j] = sum;
        }
}

/* Absolute values of the transform there, by outputs of the tile - 1: zeros for points and pixels it does not use. */
static const double there_by_outputs[4][36] = {
    {4, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0},
    {4, 0, 4, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0},
    {4, 2, 4, 2, 0, 0, 0, 6, 3, 3, 0, 0, 0, 2, 3, 1, 0, 0, 0, 4, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 0},
    {4, 0, 5, 0, 1, 0, 0, 4, 4, 1, 1, 0, 0, 4, 4, 1, 1, 0, 0, 2, 1, 2, 1, 0, 0, 2, 1, 2, 1, 0, 0, 4, 0, 5, 0, 1}};

/* The same of the transform back: powers of the points, and the point at infinity for the last output. */
static void back_by_outputs(int outputs, double back[24]) {
    static const double points[5] = {0, 1, 1, 2, 2};
    for (int i = 0; i < outputs; i++)
        for (int p = 0; p < 6; p++)
            back[i * 6 + p] = !cl_winograd_uses(p, outputs) ? 0 : p == 5 ? i == outputs - 1 : pow(points[p], i);
}

/* There, multiplied by a transformed 3x3 filter, and back: the convolution of a tile's pixels with the filter. */
static void check_winograd(int64_t channels, int rows, int columns, int with_residual) {
    static const double filter[6][3] = {{0.25, 0, 0},
                                        {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                        {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                        {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                        {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                        {0, 0, 1}};
    const int64_t c = padded(channels), plane = c + 3, pixel = c + 5, row_stride = 5 * pixel;
    const float low = -2, high = 3;
    float *in = random_numbers(36 * c), *weights = random_numbers(9 * c), *bias = random_numbers(c);
    float *residual = random_numbers(4 * row_stride), *out = random_numbers(4 * row_stride);
    float *domain = random_numbers(36 * plane), *before = cl_alloc((size_t)(4 * row_stride), sizeof *before);
    float *unused = cl_alloc((size_t)(36 * plane), sizeof *unused);
    double *size = cl_alloc((size_t)(16 * c), sizeof *size), back_rows[24], back_columns[24];
    memcpy(before, out, (size_t)(4 * row_stride) * sizeof *out);
    memcpy(unused, domain, (size_t)(36 * plane) * sizeof *out);
    back_by_outputs(rows, back_rows), back_by_outputs(columns, back_columns);
    cl_winograd_input tile = {.rows = rows, .columns = columns, .channels = c, .out = domain, .plane = plane};
    for (int y = 0; y < rows + 2; y++)
        for (int x = 0; x < columns + 2; x++) tile.pixels[y][x] = in + (y * 6 + x) * c;
    kernels->winograd_input(&tile);
    int wrong = 0;
    for (int64_t i = 0; i < c; i++) {
        double absolute[36], there[36];
        for (int p = 0; p < 36; p++) absolute[p] = fabs((double)in[p * c + i]);
        transformed(6, 6, there_by_outputs[rows - 1], there_by_outputs[columns - 1], absolute, there);
        for (int y = 0; y < 6; y++)
            for (int x = 0; x < 6; x++) {
                float *at = domain + (y * 6 + x) * plane + i;
                if (!cl_winograd_uses(y, rows) || !cl_winograd_uses(x, columns)) {
                    wrong += *at != unused[at - domain];
                    *at = NAN; /* nor is it read */
                    continue;
                }
                double weight = 0;
                for (int ky = 0; ky < 3; ky++)
                    for (int kx = 0; kx < 3; kx++)
                        weight += filter[y][ky] * filter[x][kx] * (double)weights[(ky * 3 + kx) * c + i];
                *at *= (float)weight;
                there[y * 6 + x] *= fabs(weight);
            }
        transformed(rows, columns, back_rows, back_columns, there, size + i * 16);
    }
    const cl_winograd_output result = {.in = domain,
                                       .plane = plane,
                                       .channels = c,
                                       .rows = rows,
                                       .columns = columns,
                                       .bias = bias,
                                       .low = low,
                                       .high = high,
                                       .residual = with_residual ? residual : NULL,
                                       .out = out,
                                       .pixel_stride = pixel,
                                       .row_stride = row_stride};
    kernels->winograd_output(&result);
    for (int y = 0; y < 4; y++)
        for (int64_t j = 0; j < row_stride; j++) {
            const int64_t at = y * row_stride + j, i = j % pixel, x = j / pixel;
            if (y >= rows || x >= columns || i >= c) {
                wrong += out[at] != before[at];
                continue;
            }
            double sum = (double)bias[i] + (with_residual ? (double)residual[at] : 0.0);
            for (int ky = 0; ky < 3; ky++)
                for (int kx = 0; kx < 3; kx++)
                    sum += (double)in[((y + ky) * 6 + x + kx) * c + i] * (double)weights[(ky * 3 + kx) * c + i];
            /* Rounded at most 3 times on the way there in either direction, the filter's number and the product, and
             * 3 times on the way back in either direction; then bias and residual are added to sums of at most 11. */
            double allowed = ((3 * 2 + 2 + 3 * 2) * size[i * 16 + y * columns + x] + 2 * 11) * (FLT_EPSILON / 2) * 1.01;
            wrong += !(fabs((double)out[at] - fmin(fmax(sum, (double)low), (double)high)) <= allowed);
        }
    CHECK_MSG(wrong == 0, "%d wrong: %d channels, %dx%d, %s", wrong, (int)channels, rows, columns, kernels->name);
    cl_free(in), cl_free(weights), cl_free(bias), cl_free(residual), cl_free(out), cl_free(domain), cl_free(before);
    cl_free(size), cl_free(unused);
}

static void winograd_agrees(void) {
    for (int size = 0; size < 16; size++) check_winograd(4 * size + 4, size / 4 + 1, size % 4 + 1, size / 4 % 2);
}

static void the_choice_is_the_best(void) {
    const cl_kernels *best = NULL;
    for (int level = CL_CPU_SCALAR; level <= CL_CPU_AVX512; level++)
        if (cl_kernels_for((cl_cpu_level)level)) best = cl_kernels_for((cl_cpu_level)level);
    CHECK(getenv("COULIS_CPU") != NULL || cl_kernels_get() == best);
    CHECK(strcmp(cl_kernels_get()->name, coulis_instruction_set()) == 0);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    for (int level = CL_CPU_SCALAR; level <= CL_CPU_AVX512; level++) {
        kernels = cl_kernels_for((cl_cpu_level)level);
        if (!kernels) continue;
        printf("%s:\n", kernels->name);
        RUN(depthwise_agrees);
        RUN(arithmetic_agrees);
        RUN(elementwise_agrees);
        RUN(odd_numbers_agree);
        RUN(winograd_agrees);
    }
    RUN(the_choice_is_the_best);
    return test_finish();
}
