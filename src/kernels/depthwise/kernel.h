/* One output row of a depthwise convolution: each channel with a filter of its own.
 * README.md beside this file has the layout and the reasons for the constants. */
#include <stddef.h>

#include "kernels/kernels.h"
#include "kernels/vector.h"

/* Output pixels worked out together: neighbours share most of their input. */
#define PIXELS 4

void KERNEL(cl_depthwise_row)(const cl_depthwise *d);

/* Pixels whose window reaches over the left or right border, or any kernel size without a
 * version of its own: tap by tap. */
CL_INLINE void pixel_generic(const cl_depthwise *d, int64_t c, int32_t x, vf low, vf high) {
    vf sum = vf_load(d->bias + c);
    int32_t left = x * d->stride - d->pad_left;
    for (int32_t ky = 0; ky < d->kernel_height; ky++) {
        if (!d->rows[ky]) continue;
        for (int32_t kx = 0; kx < d->kernel_width; kx++) {
            int32_t input = left + kx * d->dilation;
            if (input < 0 || input >= d->input_width) continue;
            sum = vf_fma(vf_load(d->rows[ky] + input * d->channels + c),
                         vf_load(d->weights + (ky * d->kernel_width + kx) * d->channels + c), sum);
        }
    }
    vf_store(d->out + x * d->channels + c, vf_clamp(sum, low, high));
}

/* `count` neighbouring pixels from x on, all inside; size and stride are constants. The
 * taps of each pixel are added in the same order as in pixel_generic. */
CL_INLINE void pixels_inside(const cl_depthwise *d, int64_t c, int32_t x, const int count, const int size,
                             const int stride, vf low, vf high) {
    vf sum[PIXELS];
#pragma GCC unroll 8
    for (int p = 0; p < count; p++) sum[p] = vf_load(d->bias + c);
    int64_t left = (int64_t)x * stride - d->pad_left;
#pragma GCC unroll 8
    for (int ky = 0; ky < size; ky++) {
        if (!d->rows[ky]) continue;
        const float *in = d->rows[ky] + left * d->channels + c;
        const float *w = d->weights + (int64_t)(ky * size) * d->channels + c;
        /* Input column i meets pixel p as its tap i - p * stride. */
#pragma GCC unroll 16
        for (int i = 0; i < (count - 1) * stride + size; i++) {
            vf value = vf_load(in + i * d->channels);
#pragma GCC unroll 8
            for (int p = 0; p < count; p++) {
                int kx = i - p * stride;
                if (kx >= 0 && kx < size) sum[p] = vf_fma(value, vf_load(w + kx * d->channels), sum[p]);
            }
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < count; p++) vf_store(d->out + (x + p) * d->channels + c, vf_clamp(sum[p], low, high));
}

CL_INLINE void row_of(const cl_depthwise *d, const int size, const int stride) {
    const vf low = vf_set1(d->low), high = vf_set1(d->high);
    /* Pixels first .. last-1 have their whole window inside the row. */
    int32_t first = (d->pad_left + stride - 1) / stride;
    int32_t last = (d->input_width + d->pad_left - size) / stride + 1;
    if (last > d->output_width) last = d->output_width;
    if (d->input_width + d->pad_left < size || first >= last) first = last = d->output_width;
    for (int64_t c = 0; c < d->channels; c += LANES) {
        int32_t x = 0;
        for (; x < first; x++) pixel_generic(d, c, x, low, high);
        for (; x + PIXELS <= last; x += PIXELS) pixels_inside(d, c, x, PIXELS, size, stride, low, high);
        for (; x < last; x++) pixels_inside(d, c, x, 1, size, stride, low, high);
        for (; x < d->output_width; x++) pixel_generic(d, c, x, low, high);
    }
}

void KERNEL(cl_depthwise_row)(const cl_depthwise *d) {
    int32_t size = d->kernel_height == d->kernel_width && d->dilation == 1 ? d->kernel_width : 0;
    if (size == 3 && d->stride == 1) row_of(d, 3, 1);
    else if (size == 3 && d->stride == 2) row_of(d, 3, 2);
    else if (size == 5 && d->stride == 1) row_of(d, 5, 1);
    else if (size == 5 && d->stride == 2) row_of(d, 5, 2);
    else {
        const vf low = vf_set1(d->low), high = vf_set1(d->high);
        for (int64_t c = 0; c < d->channels; c += LANES)
            for (int32_t x = 0; x < d->output_width; x++) pixel_generic(d, c, x, low, high);
    }
}
