/* Speed of the kernels on the shapes of real networks, each against the multiply-add limit of one core.
 *
 *   bench_kernels SHAPES.txt...
 *
 * A line of a shape file is one of
 *   gemm M K N                       1x1 convolution of M pixels, K channels in, N out
 *   depthwise HEIGHT WIDTH CHANNELS SIZE STRIDE
 *   winograd HEIGHT WIDTH CHANNELS FILTERS
 * and what follows a '#' is a remark. Beside the limit of multiply-adds stands the other wall: the bytes that a layer
 * must move at least (input, weights and output once each), against what memcpy moves of as many bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fastest.h"
#include "fma_limit.h"
#include "kernels/kernels.h"
#include "net/pack.h"
#include "net/step.h"

static const cl_kernels *kernels;

static int64_t padded(int64_t channels) { return cl_padded(kernels, channels); }

static float *numbers(int64_t count) {
    float *memory = cl_alloc((size_t)count, sizeof *memory);
    if (!memory) {
        fprintf(stderr, "not enough memory\n");
        exit(1);
    }
    for (int64_t i = 0; i < count; i++) memory[i] = (float)(i % 7) * 0.1f;
    return memory;
}

static void do_gemm(void *context) { kernels->gemm(context); }

static double time_gemm(int64_t m, int64_t k, int64_t columns) {
    int64_t n = padded(columns), stride = padded(k);
    float *a = numbers(m * stride), *b = numbers(k * columns), *c = numbers(m * n), *bias = numbers(n);
    float *packed = numbers(kernels->gemm_packed_count(k, columns));
    kernels->gemm_pack(k, columns, b, columns, 1, packed);
    cl_gemm gemm = {.m = m,
                    .k = k,
                    .columns = columns,
                    .a = a,
                    .a_stride = stride,
                    .b = packed,
                    .bias = bias,
                    .c = c,
                    .c_stride = n,
                    .low = 0,
                    .high = 6};
    double seconds = fastest(do_gemm, &gemm);
    cl_free(a), cl_free(b), cl_free(c), cl_free(bias), cl_free(packed);
    return seconds;
}

typedef struct depthwise_job {
    int32_t height;
    const float *in;
    cl_depthwise row;
} depthwise_job;

static void do_depthwise(void *context) {
    depthwise_job *job = context;
    const cl_depthwise *d = &job->row;
    const int32_t pad = d->kernel_height / 2;
    for (int32_t y = 0; y * d->stride < job->height; y += 2) {
        const float *rows[2][8];
        cl_depthwise pair = *d;
        for (int32_t r = 0; r < 2 && (y + r) * d->stride < job->height; r++) {
            for (int32_t ky = 0; ky < d->kernel_height; ky++) {
                int32_t line = (y + r) * d->stride - pad + ky;
                rows[r][ky] = line < 0 || line >= job->height ? NULL : job->in + line * d->input_width * d->channels;
            }
            pair.rows[r] = rows[r];
            pair.out[r] = d->out[0] + (y + r) * d->output_width * d->channels;
        }
        kernels->depthwise(&pair);
    }
}

static double time_depthwise(int64_t height, int64_t width, int64_t channels, int64_t size, int64_t stride) {
    int64_t c = padded(channels), out_width = (width + stride - 1) / stride;
    float *in = numbers(height * width * c), *out = numbers(height * out_width * c);
    float *weights = numbers(size * size * c), *bias = numbers(c);
    depthwise_job job = {.height = (int32_t)height,
                         .in = in,
                         .row = {.channels = c,
                                 .input_width = (int32_t)width,
                                 .output_width = (int32_t)out_width,
                                 .kernel_height = (int32_t)size,
                                 .kernel_width = (int32_t)size,
                                 .stride = (int32_t)stride,
                                 .dilation = 1,
                                 .pad_left = (int32_t)(size / 2),
                                 .weights = weights,
                                 .bias = bias,
                                 .low = 0,
                                 .high = 6,
                                 .out = {out}}};
    double seconds = fastest(do_depthwise, &job);
    cl_free(in), cl_free(out), cl_free(weights), cl_free(bias);
    return seconds;
}

typedef struct winograd_job {
    cl_run run;
    cl_step step;
} winograd_job;

static void do_winograd(void *context) {
    const winograd_job *j = context;
    cl_step_winograd.run(&j->run, &j->step);
}

/* As the network runs it, small maps of several images together; the time of one. */
static double time_winograd(int64_t height, int64_t width, int64_t channels, int64_t filters) {
    const int32_t images = height * width <= CL_TOGETHER_ROWS_MAX ? CL_PLAN_IMAGES : 1;
    const cl_node node = {.op = CL_OP_CONV, .window = {.kernel = {3, 3}, .pad_before = {1, 1}}};
    cl_value values[2];
    int64_t end = 0;
    for (int v = 0; v < 2; v++) {
        const int64_t count = v == 0 ? channels : filters;
        values[v] = (cl_value){.height = (int32_t)height,
                               .width = (int32_t)width,
                               .channels = (int32_t)count,
                               .rows = height * width,
                               .stride = padded(count),
                               .lines = (int32_t)height,
                               .together = true,
                               .offset = end};
        values[v].size = values[v].rows * values[v].stride;
        end += images * values[v].size;
    }
    const cl_plan plan = {.kernels = kernels, .values = values, .scratch_offset = end};
    int32_t input = 0;
    winograd_job j = {.step = {.ops = &cl_step_winograd,
                               .node = &node,
                               .inputs = &input,
                               .input_count = 1,
                               .output = 1,
                               .residual = -1,
                               .groups = 1,
                               .weights = numbers(36 * channels * padded(filters)),
                               .bias = numbers(padded(filters)),
                               .low = 0,
                               .high = 6}};
    float *workspace = numbers(end + cl_step_winograd.scratch(&plan, &j.step));
    j.run = (cl_run){.plan = &plan, .workspace = workspace, .images = images};
    const double seconds = fastest(do_winograd, &j);
    cl_free(workspace), cl_free(j.step.weights), cl_free(j.step.bias);
    return seconds / images;
}

typedef struct copying {
    float *from, *to;
    size_t size;
} copying;

static void do_copy(void *context) {
    const copying *c = context;
    memcpy(c->to, c->from, c->size);
}

/* Bytes a second, read and written, of a copy that touches `bytes` of memory: it depends on which cache they fit. */
static double copy_rate(double bytes) {
    const int64_t count = (int64_t)(bytes / 2 / sizeof(float));
    copying c = {numbers(count), numbers(count), (size_t)count * sizeof(float)};
    const double seconds = fastest(do_copy, &c);
    cl_free(c.from), cl_free(c.to);
    return 2 * (double)c.size / seconds;
}

static void run_line(const char *line, double limit) {
    char kind[16] = "";
    long long s[5] = {0};
    int read = sscanf(line, "%15s %lld %lld %lld %lld %lld", kind, &s[0], &s[1], &s[2], &s[3], &s[4]);
    double operations, seconds, count; /* of numbers */
    if (strcmp(kind, "gemm") == 0 && read == 4) {
        operations = 2.0 * (double)s[0] * (double)s[1] * (double)s[2];
        count = (double)(s[0] * (s[1] + s[2]) + s[1] * s[2]);
        seconds = time_gemm(s[0], s[1], s[2]);
    } else if (strcmp(kind, "depthwise") == 0 && read == 6 && s[3] <= 7) {
        double outputs = (double)((s[0] + s[4] - 1) / s[4] * ((s[1] + s[4] - 1) / s[4]));
        operations = 2.0 * outputs * (double)(s[2] * s[3] * s[3]);
        count = (double)(s[0] * s[1] * s[2]) + outputs * (double)s[2];
        seconds = time_depthwise(s[0], s[1], s[2], s[3], s[4]);
    } else if (strcmp(kind, "winograd") == 0 && read == 5) {
        operations = 18.0 * (double)(s[0] * s[1]) * (double)(s[2] * s[3]); /* of the convolution it stands for */
        count = (double)(s[0] * s[1] * (s[2] + s[3]) + 36 * s[2] * s[3]);
        seconds = time_winograd(s[0], s[1], s[2], s[3]);
    } else {
        if (*kind && *kind != '#') fprintf(stderr, "not a shape: %s", line);
        return;
    }
    char shape[64];
    snprintf(shape, sizeof shape, "%.*s", (int)strcspn(line, "#\n"), line);
    const double bytes = count * sizeof(float);
    printf("| %-32s | %9.1f | %7.1f | %4.0f %% | %5.1f | %4.0f %% |\n", shape, seconds * 1e6,
           operations / seconds / 1e9, 100 * operations / seconds / limit, bytes / seconds / 1e9,
           100 * bytes / seconds / copy_rate(bytes));
}

int main(int argc, char **argv) {
    kernels = cl_kernels_get();
    double limit = fma_limit();
    printf("%s, one core, limit by multiply-adds on registers: %.1f GFLOP/s\n\n", kernels->name, limit / 1e9);
    printf("| shape | microseconds | GFLOP/s | of the limit | GB/s | of a copy |\n"
           "| --- | ---: | ---: | ---: | ---: | ---: |\n");
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "r");
        char line[256];
        if (!file) {
            perror(argv[i]);
            return 1;
        }
        while (fgets(line, sizeof line, file)) run_line(line, limit);
        fclose(file);
    }
    return 0;
}
