/* Speed of the kernels on the shapes of real networks, each against the multiply-add limit of one core.
 *
 *   bench_kernels SHAPES.txt...
 *
 * A line of a shape file is one of
 *   gemm M K N                       1x1 convolution of M pixels, K channels in, N out
 *   depthwise HEIGHT WIDTH CHANNELS SIZE STRIDE
 *   winograd HEIGHT WIDTH CHANNELS FILTERS
 * and what follows a '#' is a remark. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "fma_limit.h"
#include "kernels/kernels.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const cl_kernels *kernels;

static int64_t padded(int64_t channels) { return (channels + kernels->lanes - 1) / kernels->lanes * kernels->lanes; }

static float *numbers(int64_t count) {
    float *memory = cl_alloc((size_t)count, sizeof *memory);
    if (!memory) {
        fprintf(stderr, "not enough memory\n");
        exit(1);
    }
    for (int64_t i = 0; i < count; i++) memory[i] = (float)(i % 7) * 0.1f;
    return memory;
}

/* Seconds of one call of work(context): the fastest of some runs of at least 20 ms. */
static double fastest(void (*work)(void *context), void *context) {
    double best = 1e9;
    long calls = 1;
    for (int round = 0; round < 7;) {
        double began = now();
        for (long i = 0; i < calls; i++) work(context);
        double took = now() - began;
        if (took < 0.02) {
            calls *= 2;
            continue;
        }
        if (took / (double)calls < best) best = took / (double)calls;
        round++;
    }
    return best;
}

static void do_gemm(void *context) { kernels->gemm(context); }

static double time_gemm(int64_t m, int64_t k, int64_t columns) {
    int64_t n = padded(columns), stride = padded(k);
    float *a = numbers(m * stride), *b = numbers(k * columns), *c = numbers(m * n), *bias = numbers(n);
    float *packed = numbers(kernels->gemm_packed_count(k, columns));
    kernels->gemm_pack(k, columns, b, columns, 1, packed);
    cl_gemm gemm = {.m = m, .k = k, .columns = columns, .a = a, .a_stride = stride, .b = packed, .bias = bias, .c = c,
                    .c_stride = n, .low = 0, .high = 6};
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
    depthwise_job job = {.height = (int32_t)height, .in = in,
                         .row = {.channels = c, .input_width = (int32_t)width, .output_width = (int32_t)out_width,
                                 .kernel_height = (int32_t)size, .kernel_width = (int32_t)size,
                                 .stride = (int32_t)stride, .dilation = 1, .pad_left = (int32_t)(size / 2),
                                 .weights = weights, .bias = bias, .low = 0, .high = 6, .out = {out}}};
    double seconds = fastest(do_depthwise, &job);
    cl_free(in), cl_free(out), cl_free(weights), cl_free(bias);
    return seconds;
}

typedef struct winograd_job {
    int64_t tiles, in, out;
    float *before, *after, *weights, *pixels, *bias;
} winograd_job;

/* The three parts of a Winograd convolution on pictures that lie in the cache. */
static void do_winograd(void *context) {
    const winograd_job *j = context;
    for (int64_t t = 0; t < j->tiles; t++)
        kernels->winograd_input(j->pixels, 6 * j->in, j->in, j->tiles * j->in, j->before + t * j->in);
    for (int64_t p = 0; p < 36; p++) {
        cl_gemm gemm = {.m = j->tiles, .k = j->in, .columns = j->out, .a = j->before + p * j->tiles * j->in,
                        .a_stride = j->in, .b = j->weights + p * kernels->gemm_packed_count(j->in, j->out),
                        .c = j->after + p * j->tiles * j->out, .c_stride = j->out, .low = -1e30f, .high = 1e30f};
        kernels->gemm(&gemm);
    }
    for (int64_t t = 0; t < j->tiles; t++) {
        cl_winograd_tile tile = {.in = j->after + t * j->out, .plane = j->tiles * j->out, .channels = j->out,
                                 .bias = j->bias, .low = 0, .high = 6, .out = j->pixels, .row_stride = 4 * j->out,
                                 .rows = 4, .columns = 4};
        kernels->winograd_output(&tile);
    }
}

static double time_winograd(int64_t height, int64_t width, int64_t channels, int64_t filters) {
    winograd_job j = {.tiles = 24, .in = padded(channels), .out = padded(filters)};
    int64_t widest = j.in > j.out ? j.in : j.out;
    j.before = numbers(36 * j.tiles * j.in);
    j.after = numbers(36 * j.tiles * j.out);
    j.weights = numbers(36 * kernels->gemm_packed_count(j.in, j.out));
    j.pixels = numbers(36 * widest);
    j.bias = numbers(j.out);
    double seconds = fastest(do_winograd, &j);
    cl_free(j.before), cl_free(j.after), cl_free(j.weights), cl_free(j.pixels), cl_free(j.bias);
    return seconds * (double)((height + 3) / 4 * ((width + 3) / 4)) / (double)j.tiles;
}

static void run_line(const char *line, double limit) {
    char kind[16] = "";
    long long s[5] = {0};
    int read = sscanf(line, "%15s %lld %lld %lld %lld %lld", kind, &s[0], &s[1], &s[2], &s[3], &s[4]);
    double operations, seconds;
    if (strcmp(kind, "gemm") == 0 && read == 4) {
        operations = 2.0 * (double)s[0] * (double)s[1] * (double)s[2];
        seconds = time_gemm(s[0], s[1], s[2]);
    } else if (strcmp(kind, "depthwise") == 0 && read == 6 && s[3] <= 7) {
        double outputs = (double)((s[0] + s[4] - 1) / s[4] * ((s[1] + s[4] - 1) / s[4]));
        operations = 2.0 * outputs * (double)(s[2] * s[3] * s[3]);
        seconds = time_depthwise(s[0], s[1], s[2], s[3], s[4]);
    } else if (strcmp(kind, "winograd") == 0 && read == 5) {
        operations = 18.0 * (double)(s[0] * s[1]) * (double)(s[2] * s[3]); /* of the convolution it stands for */
        seconds = time_winograd(s[0], s[1], s[2], s[3]);
    } else {
        if (*kind && *kind != '#') fprintf(stderr, "not a shape: %s", line);
        return;
    }
    char shape[64];
    snprintf(shape, sizeof shape, "%.*s", (int)strcspn(line, "#\n"), line);
    printf("| %-32s | %9.1f | %7.1f | %4.0f %% |\n", shape, seconds * 1e6, operations / seconds / 1e9,
           100 * operations / seconds / limit);
}

int main(int argc, char **argv) {
    kernels = cl_kernels_get();
    double limit = fma_limit();
    printf("%s, one core, limit by multiply-adds on registers: %.1f GFLOP/s\n\n", kernels->name, limit / 1e9);
    printf("| shape | microseconds | GFLOP/s | of the limit |\n| --- | ---: | ---: | ---: |\n");
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
