/* Rows of the output of a depthwise convolution: each channel with a filter of its own.
 * README.md beside this file has the layout and the reasons for the constants. */
#include <stddef.h>

#include "kernels/kernels.h"
#include "kernels/vector.h"

/* Output pixels of a row worked out together: neighbours share most of their input. 7 divides the widths that networks
 * for 224x224 images have (112, 56, 28, 14, 7), and 7 sums, a row of 7 weights and one input fit 16 registers. */
#define PIXELS 7
/* Output rows worked out together, for they share input, too: 14 sums and two rows of 7 weights fit 32 registers. */
#define ROWS (REGISTERS == 32 ? 2 : 1)
/* The largest filter with a version of its own. */
#define SIZE_MAX_OWN 7

void KERNEL(cl_depthwise)(const cl_depthwise *d);

/* One pixel of output row r, for a kernel without a version of its own: tap by tap. */
CL_INLINE void pixel_generic(const cl_depthwise *d, int r, int64_t c, int32_t x, vf low, vf high) {
    vf sum = vf_load(d->bias + c);
    int32_t left = x * d->stride - d->pad_left;
    for (int32_t ky = 0; ky < d->kernel_height; ky++) {
        if (!d->rows[r][ky]) continue;
        for (int32_t kx = 0; kx < d->kernel_width; kx++) {
            int32_t input = left + kx * d->dilation;
            if (input < 0 || input >= d->input_width) continue;
            sum = vf_fma(vf_load(d->rows[r][ky] + input * d->channels + c),
                         vf_load(d->weights + (ky * d->kernel_width + kx) * d->channels + c), sum);
        }
    }
    vf_store(d->out[r] + x * d->channels + c, vf_clamp(sum, low, high));
}

/* `count` neighbouring pixels from x on, of `rows` output rows from number r on. count, rows, size, stride and inside
 * are constants after inlining; with `inside` 0 the windows may reach over the left or right border. The taps of each
 * pixel are added in the same order as in pixel_generic. */
CL_INLINE void pixels(const cl_depthwise *d, int r, int64_t c, int32_t x, const int count, const int rows,
                      const int size, const int stride, const int inside, vf low, vf high) {
    vf sum[2][PIXELS];
    CL_UNROLL
    for (int q = 0; q < rows; q++) {
        CL_UNROLL
        for (int p = 0; p < count; p++) sum[q][p] = vf_load(d->bias + c);
    }
    const int32_t left = x * stride - d->pad_left;
    /* Input row y meets output row q as its row y - q * stride of the filter. */
    CL_UNROLL
    for (int y = 0; y < (rows - 1) * stride + size; y++) {
        const float *row = y < size ? d->rows[r][y] : d->rows[r + 1][y - stride];
        if (!row) continue;
        const float *in = row + left * d->channels + c;
        vf weights[2][SIZE_MAX_OWN];
        CL_UNROLL
        for (int q = 0; q < rows; q++) {
            const int ky = y - q * stride;
            CL_UNROLL
            for (int kx = 0; kx < size; kx++)
                if (ky >= 0 && ky < size) weights[q][kx] = vf_load(d->weights + (ky * size + kx) * d->channels + c);
        }
        /* Input column i meets pixel p as its tap i - p * stride. */
        CL_UNROLL
        for (int i = 0; i < (count - 1) * stride + size; i++) {
            if (!inside && (left + i < 0 || left + i >= d->input_width)) continue;
            const vf value = vf_load(in + i * d->channels);
            CL_UNROLL
            for (int q = 0; q < rows; q++) {
                const int ky = y - q * stride;
                CL_UNROLL
                for (int p = 0; p < count; p++) {
                    const int kx = i - p * stride;
                    if (ky >= 0 && ky < size && kx >= 0 && kx < size)
                        sum[q][p] = vf_fma(value, weights[q][kx], sum[q][p]);
                }
            }
        }
    }
    CL_UNROLL
    for (int q = 0; q < rows; q++) {
        CL_UNROLL
        for (int p = 0; p < count; p++)
            vf_store(d->out[r + q] + (x + p) * d->channels + c, vf_clamp(sum[q][p], low, high));
    }
}

CL_INLINE void rows_of(const cl_depthwise *d, int r, const int rows, const int size, const int stride) {
    const vf low = vf_set1(d->low), high = vf_set1(d->high);
    int32_t x = 0;
    for (; x + PIXELS <= d->output_width; x += PIXELS) {
        const int32_t left = x * stride - d->pad_left;
        if (left >= 0 && left + (PIXELS - 1) * stride + size <= d->input_width)
            for (int64_t c = 0; c < d->channels; c += LANES)
                pixels(d, r, c, x, PIXELS, rows, size, stride, 1, low, high);
        else
            for (int64_t c = 0; c < d->channels; c += LANES)
                pixels(d, r, c, x, PIXELS, rows, size, stride, 0, low, high);
    }
    for (; x < d->output_width; x++)
        for (int64_t c = 0; c < d->channels; c += LANES) pixels(d, r, c, x, 1, rows, size, stride, 0, low, high);
}

CL_INLINE void all_rows_of(const cl_depthwise *d, const int size, const int stride) {
    if (ROWS == 2 && d->rows[1]) {
        rows_of(d, 0, 2, size, stride);
        return;
    }
    for (int r = 0; r < 2 && d->rows[r]; r++) rows_of(d, r, 1, size, stride);
}

void KERNEL(cl_depthwise)(const cl_depthwise *d) {
    int32_t size = d->kernel_height == d->kernel_width && d->dilation == 1 ? d->kernel_width : 0;
    if (size == 3 && d->stride == 1) all_rows_of(d, 3, 1);
    else if (size == 3 && d->stride == 2) all_rows_of(d, 3, 2);
    else if (size == 5 && d->stride == 1) all_rows_of(d, 5, 1);
    else if (size == 5 && d->stride == 2) all_rows_of(d, 5, 2);
    else if (size == 7 && d->stride == 1) all_rows_of(d, 7, 1);
    else {
        const vf low = vf_set1(d->low), high = vf_set1(d->high);
        for (int r = 0; r < 2 && d->rows[r]; r++)
            for (int64_t c = 0; c < d->channels; c += LANES)
                for (int32_t x = 0; x < d->output_width; x++) pixel_generic(d, r, c, x, low, high);
    }
}
