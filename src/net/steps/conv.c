/* Any convolution but depthwise as a matrix product: of patches gathered from the map, or read where they are. */
#include "net/pack.h"

/* What one thread's gathered patches may take: they should come out of the second-level cache again, which has 512 KiB
 * to 2 MiB on the machines in use. */
#define PATCH_BYTES (128 * 1024)

/* Fewer pixels of a row than this make too small a product of their own: a multiple of every kernel's rows. */
#define INSIDE_PIXELS_MIN 24

/* The product of one group, and the scratch memory for it: patches, then results of a group that are set aside. */
typedef struct product {
    int64_t channels, depth, columns, padded; /* of a group: in, rows of the matrix, out, and with padding */
    int64_t block;                            /* patches gathered at a time */
    int64_t aside;                            /* where in the scratch memory the second part begins */
} product;

static product product_of(const cl_plan *plan, const cl_step *step) {
    const cl_window *w = &step->node->window;
    product p = {.channels = cl_step_input(plan, step)->channels / step->groups,
                 .columns = step->node->channels / step->groups};
    p.depth = (int64_t)w->kernel[0] * w->kernel[1] * p.channels;
    p.padded = cl_padded(plan->kernels, p.columns);
    /* A multiple of every kernel's rows, 6 and 8. */
    p.block = PATCH_BYTES / (int64_t)sizeof(float) / p.depth / 24 * 24;
    if (p.block < 24) p.block = 24;
    p.aside = (p.block * p.depth + CL_ALIGNMENT - 1) / CL_ALIGNMENT * CL_ALIGNMENT;
    return p;
}

static int64_t scratch(const cl_plan *plan, const cl_step *step) {
    const product p = product_of(plan, step);
    return p.aside + (step->groups > 1 ? p.block * p.padded : 0);
}

/* memcpy of `count` numbers; the rows of a 3x3 and a 7x7 patch of the image itself are common and short enough
 * that the call would cost more than the copy. */
static inline void copy_numbers(float *out, const float *in, int64_t count) {
    switch (count) {
    case 9: memcpy(out, in, 9 * sizeof *out); break;
    case 21: memcpy(out, in, 21 * sizeof *out); break;
    default: memcpy(out, in, (size_t)count * sizeof *out); break;
    }
}

/* Copies the patch under one output pixel of one group into `out`, rows of the kernel one after
 * another, zeros for what lies outside. */
static void gather_patch(const cl_value *in, const float *data, const cl_window *w, int64_t first_channel,
                         int64_t channels, int64_t y, int64_t x, float *out) {
    const size_t tap = (size_t)channels * sizeof *out;
    const int64_t top = y * w->stride[0] - w->pad_before[0], left = x * w->stride[1] - w->pad_before[1];
    const bool dense = w->dilation[1] == 1 && in->stride == channels && left >= 0 && left + w->kernel[1] <= in->width;
    for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
        int64_t row = top + ky * w->dilation[0];
        if (row < 0 || row >= in->height) {
            memset(out, 0, tap * (size_t)w->kernel[1]);
            out += channels * w->kernel[1];
            continue;
        }
        const float *line = data + row % in->lines * in->width * in->stride + first_channel;
        if (dense) {
            copy_numbers(out, line + left * in->stride, channels * w->kernel[1]);
            out += channels * w->kernel[1];
            continue;
        }
        for (int64_t kx = 0; kx < w->kernel[1]; kx++, out += channels) {
            int64_t column = left + kx * w->dilation[1];
            if (column < 0 || column >= in->width) memset(out, 0, tap);
            else memcpy(out, line + column * in->stride, tap);
        }
    }
}

/* Output pixels first .. last-1, counted over all images, to `result`, where the first of them goes. */
static void conv_pixels(const cl_run *run, const cl_step *step, int64_t first, int64_t last, const float *residual,
                        float *result) {
    const cl_plan *plan = run->plan;
    const cl_kernels *kernels = plan->kernels;
    const cl_value *in = cl_step_input(plan, step), *out = cl_step_output(plan, step);
    const cl_window *w = &step->node->window;
    const product p = product_of(plan, step);
    const int64_t channels = p.channels, columns = p.columns, depth = p.depth;
    const int64_t packed = kernels->gemm_packed_count(depth, columns);
    const float *data = cl_value_data(run, step->inputs[0]);
    float *patches = cl_scratch(run), *aside = patches + p.aside;
    for (int64_t rows; first < last; first += rows, result += rows * out->stride) {
        rows = first + p.block < last ? p.block : last - first;
        for (int64_t g = 0; g < step->groups; g++) {
            int64_t image = first / out->rows, y = first % out->rows / out->width, x = first % out->width;
            for (int64_t r = 0; r < rows; r++) {
                gather_patch(in, data + image * in->size, w, g * channels, channels, y, x, patches + r * depth);
                if (++x < out->width) continue;
                x = 0;
                if (++y < out->height) continue;
                y = 0;
                image++;
            }
            cl_gemm gemm = {.m = rows,
                            .k = depth,
                            .columns = columns,
                            .a = patches,
                            .a_stride = depth,
                            .b = step->weights + g * packed,
                            .bias = step->bias + g * p.padded,
                            .c = result,
                            .c_stride = out->stride,
                            .residual = residual,
                            .residual_stride = out->stride,
                            .low = step->low,
                            .high = step->high,
                            .zeros = step->zeros};
            if (step->groups == 1 || p.padded == columns) {
                gemm.c += g * columns;
                kernels->gemm(&gemm);
                continue;
            }
            /* These channels do not fill whole registers, and would run into the next group's: compute aside. */
            gemm.c = aside;
            gemm.c_stride = p.padded;
            kernels->gemm(&gemm);
            for (int64_t r = 0; r < rows; r++)
                memcpy(result + r * out->stride + g * columns, aside + r * p.padded, (size_t)columns * sizeof *aside);
        }
        if (step->groups > 1 && out->stride > out->channels)
            for (int64_t r = 0; r < rows; r++)
                memset(result + r * out->stride + out->channels, 0,
                       (size_t)(out->stride - out->channels) * sizeof *result);
        if (residual) residual += rows * out->stride;
    }
}

/* Output pixels x first .. last-1 of row y whose windows lie inside the map: the rows of their patches lie in the
 * map as they are, so the product reads them there instead of from a copy. */
static void conv_inside(const cl_run *run, const cl_step *step, int64_t image, int64_t y, int64_t first, int64_t last,
                        const float *residual, float *result) {
    const cl_value *in = cl_step_input(run->plan, step), *out = cl_step_output(run->plan, step);
    const cl_window *w = &step->node->window;
    const int64_t row = in->width * in->stride;
    const cl_gemm gemm = {.m = last - first,
                          .k = w->kernel[1] * in->stride,
                          .columns = out->channels,
                          .a = cl_value_data(run, step->inputs[0]) + image * in->size +
                               (y * w->stride[0] - w->pad_before[0]) * row +
                               (first * w->stride[1] - w->pad_before[1]) * in->stride,
                          .a_stride = w->stride[1] * in->stride,
                          .runs = w->kernel[0],
                          .run_stride = w->dilation[0] * row,
                          .b = step->weights,
                          .bias = step->bias,
                          .c = result + first * out->stride,
                          .c_stride = out->stride,
                          .residual = residual ? residual + first * out->stride : NULL,
                          .residual_stride = out->stride,
                          .low = step->low,
                          .high = step->high};
    run->plan->kernels->gemm(&gemm);
}

/* The output pixels of row y, 0 .. width-1, from *first to *last have their windows inside the map, and the patches
 * need not be gathered; false when there are too few of them to be worth it. */
static bool find_inside(const cl_run *run, const cl_step *step, int64_t y, int64_t *first, int64_t *last) {
    const cl_value *in = cl_step_input(run->plan, step), *out = cl_step_output(run->plan, step);
    const cl_window *w = &step->node->window;
    const int64_t top = y * w->stride[0] - w->pad_before[0];
    /* Copying pixels costs less than products with their zeros, which are skipped in larger pieces than a row. */
    if (step->zeros && w->kernel[0] == 1 && w->kernel[1] == 1) return false;
    if (step->groups != 1 || in->stride != in->channels || w->dilation[1] != 1 || in->lines != in->height || top < 0 ||
        top + (w->kernel[0] - 1) * w->dilation[0] >= in->height)
        return false;
    *first = (w->pad_before[1] + w->stride[1] - 1) / w->stride[1];
    *last = (in->width + w->pad_before[1] - w->kernel[1]) / w->stride[1] + 1;
    if (*last > out->width) *last = out->width;
    return *last - *first >= INSIDE_PIXELS_MIN;
}

/* Line y of one image of several. */
static void line(const cl_run *run, const cl_step *step, int32_t image, int32_t y) {
    const cl_value *out = cl_step_output(run->plan, step);
    const int64_t start = ((int64_t)image * out->height + y) * out->width;
    float *result = cl_value_line(run, step->output, y) + image * out->size;
    const float *residual = cl_residual_line(run, step, y);
    if (residual) residual += image * out->size;
    int64_t first, last;
    if (!find_inside(run, step, y, &first, &last)) first = last = out->width;
    conv_pixels(run, step, start, start + first, residual, result);
    if (first == last) return;
    conv_inside(run, step, image, y, first, last, residual, result);
    conv_pixels(run, step, start + last, start + out->width, residual ? residual + last * out->stride : NULL,
                result + last * out->stride);
}

static void run_lines(const cl_run *run, const cl_step *step, int32_t y, int32_t end) {
    for (; y < end; y++) line(run, step, 0, y);
}

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *out = cl_step_output(run->plan, step);
    int64_t first, last;
    if (find_inside(run, step, out->height / 2, &first, &last)) {
        for (int32_t p = 0; p < run->images; p++)
            for (int32_t y = 0; y < out->height; y++) line(run, step, p, y);
    } else {
        conv_pixels(run, step, 0, out->rows * run->images, cl_residual_data(run, step),
                    cl_value_data(run, step->output));
    }
}

/* A register of results has room for several groups of few channels: how many are computed as one, with zeros as
 * weights where a channel does not belong to a group. */
static int32_t groups_together(const cl_node *node, int32_t lanes) {
    int32_t columns = node->channels / node->groups, together = 1;
    for (int32_t n = 2; n <= node->groups && n * columns <= lanes; n++)
        if (node->groups % n == 0) together = n;
    return together;
}

static void lower(const cl_plan *plan, cl_step *step) {
    step->groups = step->node->groups / groups_together(step->node, plan->kernels->lanes);
}

const cl_step_ops cl_step_conv = {
    .flags = CL_STEP_FOLDS | CL_STEP_ADDS | CL_STEP_CLAMPS | CL_STEP_ACTIVATES | CL_STEP_WINDOW,
    .lower = lower,
    .pack = cl_pack_product,
    .scratch = scratch,
    .run = run_all,
    .run_lines = run_lines,
};
