/* Convolutions as a product: of the map as it lies, or of patches gathered from it; and depthwise. */
#include <string.h>

#include "base/memory.h"
#include "net/pack.h"
#include "net/steps.h"

/* Fewer pixels of a row than this make too small a product of their own: a multiple of every kernel's rows. */
#define INSIDE_PIXELS_MIN 24

/* memcpy of `count` numbers; the rows of a 3x3 and a 7x7 patch of the picture itself are common and short enough
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
        const float *line = data + row % in->rows * in->width * in->stride + first_channel;
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

/* Output pixels first .. last-1, counted over all pictures, to `result`, where the first of them goes. */
static void conv_pixels(const cl_run *run, const cl_step *step, int64_t first, int64_t last, const float *residual,
                        float *result) {
    const cl_plan *plan = run->plan;
    const cl_kernels *kernels = plan->kernels;
    const cl_value *in = &plan->values[step->input], *out = &plan->values[step->output];
    const cl_window *w = &step->node->window;
    const int64_t channels = in->channels / step->groups, columns = out->channels / step->groups;
    const int64_t padded = cl_padded(kernels, columns);
    const int64_t depth = (int64_t)w->kernel[0] * w->kernel[1] * channels, block = cl_patch_rows(depth);
    const int64_t packed = kernels->gemm_packed_count(depth, columns), area = (int64_t)out->height * out->width;
    const float *data = cl_value_data(run, step->input);
    float *patches = run->workspace + plan->scratch_offset;
    float *grouped = patches + (block * depth + CL_ALIGNMENT - 1) / CL_ALIGNMENT * CL_ALIGNMENT;
    for (int64_t rows; first < last; first += rows, result += rows * out->stride) {
        rows = first + block < last ? block : last - first;
        for (int64_t g = 0; g < step->groups; g++) {
            int64_t picture = first / area, y = first % area / out->width, x = first % out->width;
            for (int64_t r = 0; r < rows; r++) {
                gather_patch(in, data + picture * in->size, w, g * channels, channels, y, x, patches + r * depth);
                if (++x < out->width) continue;
                x = 0;
                if (++y < out->height) continue;
                y = 0;
                picture++;
            }
            cl_gemm gemm = {.m = rows, .k = depth, .columns = columns, .a = patches, .a_stride = depth,
                            .b = step->weights + g * packed, .bias = step->bias + g * padded, .c = result,
                            .c_stride = out->stride, .residual = residual, .residual_stride = out->stride,
                            .low = step->low, .high = step->high, .zeros = step->zeros};
            if (step->groups == 1 || padded == columns) {
                gemm.c += g * columns;
                kernels->gemm(&gemm);
                continue;
            }
            /* These channels do not fill whole registers, and would run into the next group's: compute aside. */
            gemm.c = grouped;
            gemm.c_stride = padded;
            kernels->gemm(&gemm);
            for (int64_t r = 0; r < rows; r++)
                memcpy(result + r * out->stride + g * columns, grouped + r * padded,
                       (size_t)columns * sizeof *grouped);
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
static void conv_inside(const cl_run *run, const cl_step *step, int64_t picture, int64_t y, int64_t first, int64_t last,
                        const float *residual, float *result) {
    const cl_value *in = &run->plan->values[step->input], *out = &run->plan->values[step->output];
    const cl_window *w = &step->node->window;
    const int64_t row = in->width * in->stride;
    const cl_gemm gemm = {
        .m = last - first, .k = w->kernel[1] * in->stride, .columns = out->channels,
        .a = cl_value_data(run, step->input) + picture * in->size + (y * w->stride[0] - w->pad_before[0]) * row +
             (first * w->stride[1] - w->pad_before[1]) * in->stride,
        .a_stride = w->stride[1] * in->stride, .runs = w->kernel[0], .run_stride = w->dilation[0] * row,
        .b = step->weights, .bias = step->bias, .c = result + first * out->stride, .c_stride = out->stride,
        .residual = residual ? residual + first * out->stride : NULL, .residual_stride = out->stride,
        .low = step->low, .high = step->high};
    run->plan->kernels->gemm(&gemm);
}

/* The output pixels of row y, 0 .. width-1, from *first to *last have their windows inside the map, and the patches
 * need not be gathered; false when there are too few of them to be worth it. */
static bool find_inside(const cl_run *run, const cl_step *step, int64_t y, int64_t *first, int64_t *last) {
    const cl_value *in = &run->plan->values[step->input], *out = &run->plan->values[step->output];
    const cl_window *w = &step->node->window;
    const int64_t top = y * w->stride[0] - w->pad_before[0];
    if (step->groups != 1 || in->stride != in->channels || w->dilation[1] != 1 || in->rows != in->height || top < 0 ||
        top + (w->kernel[0] - 1) * w->dilation[0] >= in->height)
        return false;
    *first = (w->pad_before[1] + w->stride[1] - 1) / w->stride[1];
    *last = (in->width + w->pad_before[1] - w->kernel[1]) / w->stride[1] + 1;
    if (*last > out->width) *last = out->width;
    return *last - *first >= INSIDE_PIXELS_MIN;
}

void cl_run_conv_row(const cl_run *run, const cl_step *step, int32_t picture, int32_t y) {
    const cl_value *out = &run->plan->values[step->output];
    const int64_t start = ((int64_t)picture * out->height + y) * out->width;
    float *result = cl_value_row(run, step->output, y) + picture * out->size;
    const float *residual = step->other >= 0 ? cl_value_row(run, step->other, y) + picture * out->size : NULL;
    int64_t first, last;
    if (!find_inside(run, step, y, &first, &last)) first = last = out->width;
    conv_pixels(run, step, start, start + first, residual, result);
    if (first == last) return;
    conv_inside(run, step, picture, y, first, last, residual, result);
    conv_pixels(run, step, start + last, start + out->width, residual ? residual + last * out->stride : NULL,
                result + last * out->stride);
}

void cl_run_conv(const cl_run *run, const cl_step *step) {
    const cl_value *out = &run->plan->values[step->output];
    int64_t first, last;
    if (find_inside(run, step, out->height / 2, &first, &last)) {
        for (int32_t p = 0; p < run->pictures; p++)
            for (int32_t y = 0; y < out->height; y++) cl_run_conv_row(run, step, p, y);
    } else {
        conv_pixels(run, step, 0, (int64_t)out->height * out->width * run->pictures, cl_residual_data(run, step),
                    cl_value_data(run, step->output));
    }
}

/* `m` pixels of a 1x1 convolution. */
static void pointwise(const cl_run *run, const cl_step *step, int64_t m, const float *in, const float *residual,
                      float *result) {
    const cl_value *from = &run->plan->values[step->input], *to = &run->plan->values[step->output];
    cl_gemm gemm = {.m = m, .k = from->channels, .columns = to->channels, .a = in, .a_stride = from->stride,
                    .b = step->weights, .bias = step->bias, .c = result, .c_stride = to->stride,
                    .residual = residual, .residual_stride = to->stride, .low = step->low, .high = step->high,
                    .zeros = step->zeros};
    if (step->reduced) run->plan->reduced->product(&gemm, run->workspace + run->plan->scratch_offset);
    else run->plan->kernels->gemm(&gemm);
}

void cl_run_pointwise(const cl_run *run, const cl_step *step) {
    const cl_value *out = &run->plan->values[step->output];
    pointwise(run, step, (int64_t)out->height * out->width * run->pictures, cl_value_data(run, step->input),
              cl_residual_data(run, step), cl_value_data(run, step->output));
}

void cl_run_pointwise_row(const cl_run *run, const cl_step *step, int32_t y) {
    pointwise(run, step, run->plan->values[step->output].width, cl_value_row(run, step->input, y),
              step->other >= 0 ? cl_value_row(run, step->other, y) : NULL, cl_value_row(run, step->output, y));
}

void cl_run_depthwise_rows(const cl_run *run, const cl_step *step, int32_t picture, int32_t y, int32_t end) {
    const cl_value *in = &run->plan->values[step->input], *out = &run->plan->values[step->output];
    const cl_window *w = &step->node->window;
    const float *rows[2][CL_KERNEL_MAX];
    cl_depthwise d = {
        .channels = in->stride, .input_width = in->width, .output_width = out->width,
        .kernel_height = w->kernel[0], .kernel_width = w->kernel[1], .stride = w->stride[0],
        .dilation = w->dilation[0], .pad_left = w->pad_before[1], .weights = step->weights, .bias = step->bias,
        .low = step->low, .high = step->high};
    for (int32_t r = 0; y + r < end; r++) {
        for (int32_t ky = 0; ky < w->kernel[0]; ky++) {
            int32_t line = (y + r) * w->stride[0] - w->pad_before[0] + ky * w->dilation[0];
            bool inside = line >= 0 && line < in->height;
            rows[r][ky] = inside ? cl_value_row(run, step->input, line) + picture * in->size : NULL;
        }
        d.rows[r] = rows[r];
        d.out[r] = cl_value_row(run, step->output, y + r) + picture * out->size;
    }
    run->plan->kernels->depthwise(&d);
}

void cl_run_depthwise(const cl_run *run, const cl_step *step) {
    const int32_t height = run->plan->values[step->output].height;
    for (int32_t p = 0; p < run->pictures; p++)
        for (int32_t y = 0, end; y < height; y = end) {
            end = cl_rows_end(run->plan, step, y);
            cl_run_depthwise_rows(run, step, p, y, end);
        }
}
