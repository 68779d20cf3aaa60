/* How many zeros the 1x1 convolutions of a network read, and what leaving out their products is worth; on one core.
 *
 *   bench_zeros MODEL.safetensors IMAGES.rgb
 *
 * The second file holds CL_PLAN_IMAGES images of the network's size, a byte for each of red, green and blue. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fastest.h"
#include "net/step.h"

static _Noreturn void fail(const char *why) {
    fprintf(stderr, "bench_zeros: %s\n", why);
    exit(1);
}

static float *numbers(int64_t count) {
    float *memory = cl_alloc_zero((size_t)count, sizeof *memory);
    if (!memory) fail("not enough memory");
    return memory;
}

static cl_plan *plan_to(const coulis_model *model, int32_t output) {
    coulis_error error;
    cl_plan *plan;
    if (cl_plan_create(model, output, COULIS_PRECISION_FLOAT32, &plan, &error) != COULIS_OK) fail(error.message);
    return plan;
}

/* What node `node` gives for each image, one after another. */
static float *maps_of(const coulis_model *model, int32_t node, const uint8_t *const *rgb) {
    cl_plan *plan = plan_to(model, node);
    float *workspace = numbers(plan->workspace_count + CL_ALIGNMENT);
    float *maps = numbers(CL_PLAN_IMAGES * plan->length), *out[CL_PLAN_IMAGES];
    for (int32_t p = 0; p < CL_PLAN_IMAGES; p++) out[p] = maps + p * plan->length;
    cl_plan_run(plan, CL_PLAN_IMAGES, rgb, workspace, out);
    cl_free(workspace);
    cl_plan_free(plan);
    return maps;
}

/* The share of positions at which any of `rows` neighbouring rows of A is not zero. */
static double not_zero(const cl_gemm *g, int64_t rows) {
    int64_t found = 0, positions = 0;
    for (int64_t i = 0; i + rows <= g->m; i += rows, positions += g->k)
        for (int64_t k = 0; k < g->k; k++) {
            bool any = false;
            for (int64_t r = 0; r < rows; r++)
                any = any || g->a[(i + r) * g->a_stride + k] < 0 || g->a[(i + r) * g->a_stride + k] > 0;
            found += any;
        }
    return 100 * (double)found / (double)positions;
}

static const cl_kernels *kernels;

static void multiply(void *gemm) { kernels->gemm(gemm); }

/* One product, of as many images as go through it together in the network: microseconds of one, plain and without
 * zeros. */
static void measure(const coulis_model *model, const cl_plan *plan, const cl_step *step, const uint8_t *const *rgb,
                    double took[2]) {
    const cl_value *in = cl_step_input(plan, step), *out = cl_step_output(plan, step);
    const int64_t images = out->together ? CL_PLAN_IMAGES : 1, jump = step->node->window.stride[0];
    const int64_t pixels = out->rows;
    float *maps = maps_of(model, step->node->inputs[0], rgb);
    float *a = numbers(images * pixels * in->stride), *c = numbers(images * pixels * out->stride), *row = a;
    for (int64_t p = 0; p < images; p++)
        for (int64_t y = 0; y < out->height; y++)
            for (int64_t x = 0; x < out->width; x++, row += in->stride)
                memcpy(row, maps + ((p * in->height + y * jump) * in->width + x * jump) * in->channels,
                       (size_t)in->channels * sizeof *row);
    cl_gemm gemm = {.m = images * pixels,
                    .k = in->channels,
                    .columns = out->channels,
                    .a = a,
                    .a_stride = in->stride,
                    .b = step->weights,
                    .bias = step->bias,
                    .c = c,
                    .c_stride = out->stride,
                    .low = step->low,
                    .high = step->high};
    double seconds[2];
    for (int zeros = 0; zeros < 2; zeros++) {
        gemm.zeros = zeros == 1;
        seconds[zeros] = fastest(multiply, &gemm) / (double)images * 1e6;
        took[zeros] += seconds[zeros];
    }
    printf("| %lld x %lld x %lld | %.0f %% | %.0f %% | %.0f %% | %.1f | %.1f | %.2f |\n", (long long)pixels,
           (long long)gemm.k, (long long)gemm.columns, not_zero(&gemm, 1), not_zero(&gemm, 2), not_zero(&gemm, 4),
           seconds[0], seconds[1], seconds[0] / seconds[1]);
    cl_free(maps), cl_free(a), cl_free(c);
}

int main(int argc, char **argv) {
    coulis_error error;
    coulis_model *model;
    if (argc != 3) fail("usage: bench_zeros MODEL.safetensors IMAGES.rgb");
    coulis_model_options options;
    coulis_model_options_init(&options, sizeof options);
    options.random_weights = 1;
    if (coulis_model_open(argv[1], &options, &model, &error) != COULIS_OK) fail(error.message);
    cl_plan *plan = plan_to(model, cl_model_graph(model)->features[0]);
    kernels = plan->kernels;
    const size_t size = (size_t)plan->values[0].size;
    uint8_t *images = cl_alloc(CL_PLAN_IMAGES, size);
    FILE *file = fopen(argv[2], "rb");
    if (!images || !file || fread(images, size, CL_PLAN_IMAGES, file) != CL_PLAN_IMAGES) fail("cannot read the images");
    fclose(file);
    const uint8_t *rgb[CL_PLAN_IMAGES];
    for (int p = 0; p < CL_PLAN_IMAGES; p++) rgb[p] = images + (size_t)p * size;
    printf("| product | not 0 | in one of 2 pixels | in one of 4 | plain, us | without zeros | times as fast |\n"
           "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    double took[2] = {0, 0};
    for (int32_t s = 0; s < plan->step_count; s++)
        if (plan->steps[s].zeros && plan->steps[s].node->window.kernel[0] <= 1)
            measure(model, plan, &plan->steps[s], rgb, took);
    printf("| sum | | | | %.1f | %.1f | %.2f |\n", took[0], took[1], took[0] / took[1]);
    cl_free(images);
    cl_plan_free(plan);
    coulis_model_close(model);
    return 0;
}
