/* The transforms of Winograd's convolution F(4x4, 3x3). README.md beside this file has the matrices. */
#include "kernels/kernels.h"
#include "kernels/vector.h"

void KERNEL(cl_winograd_input)(const float *in, int64_t row_stride, int64_t channels, int64_t plane, float *out);
void KERNEL(cl_winograd_output)(const cl_winograd_tile *tile);

/* One column or row of B^T d: six additions and six multiply-adds, which run side by side where a processor has units
 * for each. */
CL_INLINE void input_1d(const vf d[6], vf t[6]) {
    const vf two = vf_set1(2), minus_two = vf_set1(-2), four = vf_set1(4), minus_four = vf_set1(-4);
    const vf near = vf_sub(d[4], d[2]), far = vf_sub(d[3], d[1]);
    const vf even = vf_fma(d[2], minus_four, d[4]), odd = vf_fma(d[1], minus_four, d[3]);
    t[0] = vf_fma(vf_sub(d[0], d[2]), four, near);
    t[1] = vf_add(even, odd);
    t[2] = vf_sub(even, odd);
    t[3] = vf_fma(far, two, near);
    t[4] = vf_fma(far, minus_two, near);
    t[5] = vf_fma(far, minus_four, vf_sub(d[5], d[3]));
}

void KERNEL(cl_winograd_input)(const float *in, int64_t row_stride, int64_t channels, int64_t plane, float *out) {
    for (int64_t c = 0; c < channels; c += LANES) {
        vf half[6][6];
        CL_UNROLL
        for (int x = 0; x < 6; x++) {
            vf column[6], t[6];
            CL_UNROLL
            for (int y = 0; y < 6; y++) column[y] = vf_load(in + y * row_stride + x * channels + c);
            input_1d(column, t);
            CL_UNROLL
            for (int y = 0; y < 6; y++) half[y][x] = t[y];
        }
        CL_UNROLL
        for (int y = 0; y < 6; y++) {
            vf t[6];
            input_1d(half[y], t);
            CL_UNROLL
            for (int x = 0; x < 6; x++) vf_store(out + (y * 6 + x) * plane + c, t[x]);
        }
    }
}

/* One column or row of A^T m. */
CL_INLINE void output_1d(const vf m[6], vf o[4]) {
    const vf sum1 = vf_add(m[1], m[2]), difference1 = vf_sub(m[1], m[2]);
    const vf sum2 = vf_add(m[3], m[4]), difference2 = vf_sub(m[3], m[4]);
    o[0] = vf_add(vf_add(m[0], sum1), sum2);
    o[1] = vf_fma(difference2, vf_set1(2), difference1);
    o[2] = vf_fma(sum2, vf_set1(4), sum1);
    o[3] = vf_add(vf_fma(difference2, vf_set1(8), difference1), m[5]);
}

void KERNEL(cl_winograd_output)(const cl_winograd_tile *tile) {
    const vf low = vf_set1(tile->low), high = vf_set1(tile->high);
    for (int64_t c = 0; c < tile->channels; c += LANES) {
        vf half[4][6];
        CL_UNROLL
        for (int x = 0; x < 6; x++) {
            vf column[6], o[4];
            CL_UNROLL
            for (int y = 0; y < 6; y++) column[y] = vf_load(tile->in + (y * 6 + x) * tile->plane + c);
            output_1d(column, o);
            CL_UNROLL
            for (int y = 0; y < 4; y++) half[y][x] = o[y];
        }
        const vf bias = vf_load(tile->bias + c);
        CL_UNROLL
        for (int y = 0; y < 4; y++) {
            if (y >= tile->rows) break;
            vf o[4];
            output_1d(half[y], o);
            CL_UNROLL
            for (int x = 0; x < 4; x++) {
                if (x >= tile->columns) break;
                vf value = vf_add(o[x], bias);
                if (tile->residual)
                    value = vf_add(value, vf_load(tile->residual + y * tile->row_stride + x * tile->channels + c));
                vf_store(tile->out + y * tile->row_stride + x * tile->channels + c, vf_clamp(value, low, high));
            }
        }
    }
}
