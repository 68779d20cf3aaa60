/* Rows of the output of a depthwise convolution: each channel with a filter of its own.
 * README.md beside this file has the layout and the reasons for the constants. */
#include <stdbool.h>
#include <stddef.h>

#include "kernels/kernels.h"
#include "kernels/vector.h"

/* Output pixels worked out together: neighbours share most of their input, above each other and beside each other. 7
 * divides the widths that networks for 224x224 images have (112, 56, 28, 14, 7): 14 sums and two rows of 7 weights fit
 * 32 registers. With 16, 8 sums, two rows of 3 weights and one input. */
#define PIXELS (REGISTERS == 32 ? 7 : 4)
#define ROWS 2
/* Common filters have versions of their own, but not on the portable vectors: fmaf() of libm takes longer there than
 * all that they save, and the compiler thirteen seconds for them. */
#define OWN_VERSIONS (LANES > 4 || REGISTERS > 16)
/* The largest filter with a version of its own, and what it then reads for ROWS x PIXELS outputs. */
#define SIZE_MAX_OWN 7
#define LINES_MAX (SIZE_MAX_OWN + ROWS - 1)

void KERNEL(cl_depthwise)(const cl_depthwise *d);

/* One pixel of output row r, for a kernel without a version of its own: tap by tap. */
CL_INLINE void pixel_generic(const cl_depthwise *d, int r, int64_t c, int32_t x, vf low, vf high) {
    const float *weights = d->weights + c * d->kernel_height * d->kernel_width;
    vf sum = vf_load(d->bias + c);
    int32_t left = x * d->stride - d->pad_left;
    for (int32_t ky = 0; ky < d->kernel_height; ky++) {
        if (!d->rows[r][ky]) continue;
        for (int32_t kx = 0; kx < d->kernel_width; kx++) {
            int32_t input = left + kx * d->dilation;
            if (input < 0 || input >= d->input_width) continue;
            sum = vf_fma(vf_load(d->rows[r][ky] + input * d->channels + c),
                         vf_load(weights + (ky * d->kernel_width + kx) * LANES), sum);
        }
    }
    vf_store(d->out[r] + x * d->channels + c, vf_clamp(sum, low, high));
}

CL_INLINE void every_pixel(const cl_depthwise *d) {
    const vf low = vf_set1(d->low), high = vf_set1(d->high);
    for (int r = 0; r < ROWS && d->rows[r]; r++)
        for (int64_t c = 0; c < d->channels; c += LANES)
            for (int32_t x = 0; x < d->output_width; x++) pixel_generic(d, r, c, x, low, high);
}

/* All channels of `count` neighbouring pixels from x on, of `rows` output rows from number r on. count, rows, size,
 * stride and inside are constants after inlining; with `inside` 0 the windows may reach over the left or right border.
 * The taps of each pixel are added in the same order as in pixel_generic. */
CL_INLINE void pixels(const cl_depthwise *d, int r, int32_t x, const int count, const int rows, const int size,
                      const int stride, const int inside) {
    const vf low = vf_set1(d->low), high = vf_set1(d->high);
    const int64_t channels = d->channels;
    const int32_t left = x * stride - d->pad_left;
    const int lines = (rows - 1) * stride + size, columns = (count - 1) * stride + size;
    /* Input row y meets output row q as its row y - q * stride of the filter. */
    const float *in[LINES_MAX + 1];
    CL_UNROLL
    for (int y = 0; y < lines; y++) {
        const float *row = y < size ? d->rows[r][y] : d->rows[r + 1][y - stride];
        in[y] = row ? row + left * channels : NULL;
    }
    uint32_t outside = 0;
    for (int i = 0; i < columns; i++)
        if (left + i < 0 || left + i >= d->input_width) outside |= 1u << i;
    float *out[ROWS];
    CL_UNROLL
    for (int q = 0; q < rows; q++) out[q] = d->out[r + q] + x * channels;
    const float *bias = d->bias, *taps = d->weights;
    for (int64_t c = 0; c < channels; c += LANES, taps += size * size * LANES) {
        vf sum[ROWS][PIXELS];
        CL_UNROLL
        for (int q = 0; q < rows; q++) {
            CL_UNROLL
            for (int p = 0; p < count; p++) sum[q][p] = vf_load(bias + c);
        }
        CL_UNROLL
        for (int y = 0; y < lines; y++) {
            if (!in[y]) continue;
            vf weights[ROWS][SIZE_MAX_OWN];
            CL_UNROLL
            for (int q = 0; q < rows; q++) {
                const int ky = y - q * stride;
                CL_UNROLL
                for (int kx = 0; kx < size; kx++)
                    if (ky >= 0 && ky < size) weights[q][kx] = vf_load(taps + (ky * size + kx) * LANES);
            }
            /* Input column i meets pixel p as its tap i - p * stride. */
            CL_UNROLL
            for (int i = 0; i < columns; i++) {
                if (!inside && (outside >> i & 1)) continue;
                const vf value = vf_load(in[y] + i * channels + c);
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
            for (int p = 0; p < count; p++) vf_store(out[q] + p * channels + c, vf_clamp(sum[q][p], low, high));
        }
    }
}

/* How many of the `left` pixels to do next: with 4 at a time, threes make up for what 4 does not divide (7 = 3 + 4,
 * 14 = 3 + 3 + 4 + 4), as ones would take three times as long. */
CL_INLINE int next_pixels(int32_t left, const int rows) {
    if (PIXELS == 4 && rows == ROWS && left % 4 != 0) return left >= 3 ? 3 : 1;
    return left >= PIXELS ? PIXELS : 1;
}

CL_INLINE void rows_of(const cl_depthwise *d, int r, const int rows, const int size, const int stride) {
    int count;
    for (int32_t x = 0; x < d->output_width; x += count) {
        count = next_pixels(d->output_width - x, rows);
        const int32_t left = x * stride - d->pad_left;
        const bool inside = left >= 0 && left + (count - 1) * stride + size <= d->input_width;
        if (count == PIXELS && inside) pixels(d, r, x, PIXELS, rows, size, stride, 1);
        else if (count == PIXELS) pixels(d, r, x, PIXELS, rows, size, stride, 0);
        else if (PIXELS == 4 && rows == ROWS && count == 3) pixels(d, r, x, 3, rows, size, stride, 0);
        else pixels(d, r, x, 1, rows, size, stride, 0);
    }
}

#if OWN_VERSIONS
#define VERSION(size, stride)                                                                                          \
    CL_VERSION two_rows_##size##_##stride(const cl_depthwise *d) { rows_of(d, 0, 2, size, stride); }                   \
    CL_VERSION one_row_##size##_##stride(const cl_depthwise *d) { rows_of(d, 0, 1, size, stride); }                    \
    CL_INLINE void version_##size##_##stride(const cl_depthwise *d) {                                                  \
        if (d->rows[1]) two_rows_##size##_##stride(d);                                                                 \
        else one_row_##size##_##stride(d);                                                                             \
    }
VERSION(3, 1)
VERSION(3, 2)
VERSION(5, 1)
VERSION(5, 2)
VERSION(7, 1)
#undef VERSION
#endif

void KERNEL(cl_depthwise)(const cl_depthwise *d) {
#if OWN_VERSIONS
    const int32_t size = d->kernel_height == d->kernel_width && d->dilation == 1 ? d->kernel_width : 0;
    if (size == 3 && d->stride == 1) version_3_1(d);
    else if (size == 3 && d->stride == 2) version_3_2(d);
    else if (size == 5 && d->stride == 1) version_5_1(d);
    else if (size == 5 && d->stride == 2) version_5_2(d);
    else if (size == 7 && d->stride == 1) version_7_1(d);
    else
#endif
        every_pixel(d);
}
