/* The transforms of Winograd's convolution F(4x4, 3x3) and of its cut tiles.
 * README.md beside this file has the matrices. */
#include <stdbool.h>

#include "kernels/kernels.h"
#include "kernels/vector.h"

void KERNEL(cl_winograd_input)(const cl_winograd_input *tile);
void KERNEL(cl_winograd_output)(const cl_winograd_output *tile);

/* One column or row of B^T d for `outputs` output pixels, a constant. For four: six additions and six multiply-adds,
 * which run side by side where a processor has units for each. For fewer, points are left out (cl_winograd_uses). */
CL_INLINE void input_1d(const vf d[6], vf t[6], const int outputs) {
    const vf two = vf_set1(2), minus_two = vf_set1(-2), four = vf_set1(4), minus_four = vf_set1(-4);
    if (outputs == 4) {
        const vf near = vf_sub(d[4], d[2]), far = vf_sub(d[3], d[1]);
        const vf even = vf_fma(d[2], minus_four, d[4]), odd = vf_fma(d[1], minus_four, d[3]);
        t[0] = vf_fma(vf_sub(d[0], d[2]), four, near);
        t[1] = vf_add(even, odd);
        t[2] = vf_sub(even, odd);
        t[3] = vf_fma(far, two, near);
        t[4] = vf_fma(far, minus_two, near);
        t[5] = vf_fma(far, minus_four, vf_sub(d[5], d[3]));
    } else if (outputs == 3) {
        const vf near = vf_sub(d[2], d[0]), far = vf_sub(d[3], d[1]);
        t[0] = vf_fma(far, two, vf_mul(near, minus_four));
        t[1] = vf_mul(vf_fma(d[1], minus_two, vf_sub(d[3], d[2])), vf_set1(3));
        t[2] = vf_fma(d[2], vf_set1(-3), vf_fma(d[1], two, d[3]));
        t[3] = vf_mul(far, four);
        t[5] = vf_fma(far, minus_two, vf_sub(d[4], d[2]));
    } else if (outputs == 2) {
        t[0] = vf_mul(vf_sub(d[0], d[2]), four);
        t[1] = vf_mul(vf_add(d[1], d[2]), vf_set1(-3));
        t[2] = vf_mul(vf_sub(d[1], d[2]), vf_set1(3));
        t[5] = vf_sub(d[3], d[1]);
    } else {
        t[0] = vf_mul(vf_sub(d[0], d[1]), four);
        t[1] = vf_mul(d[1], vf_set1(-6));
        t[5] = vf_sub(d[2], d[1]);
    }
}

/* Numbers in a cache line. */
#define LINE (64 / (int64_t)sizeof(float))

/* rows and columns of the tile are constants after inlining. */
CL_INLINE void input_tile(const cl_winograd_input *tile, const int rows, const int columns) {
    for (int64_t c = 0; c < tile->channels; c += LANES) {
        const bool enters_line = c % LINE == 0;
        vf half[6][6];
        CL_UNROLL
        for (int x = 0; x < columns + 2; x++) {
            vf column[6], t[6];
            CL_UNROLL
            for (int y = 0; y < rows + 2; y++) column[y] = vf_load(tile->pixels[y][x] + c);
            input_1d(column, t, rows);
            CL_UNROLL
            for (int y = 0; y < 6; y++)
                if (cl_winograd_uses(y, rows)) half[y][x] = t[y];
        }
        CL_UNROLL
        for (int y = 0; y < 6; y++) {
            if (!cl_winograd_uses(y, rows)) continue;
            vf t[6];
            input_1d(half[y], t, columns);
            CL_UNROLL
            for (int x = 0; x < 6; x++) {
                if (!cl_winograd_uses(x, columns)) continue;
                float *out = tile->out + (y * 6 + x) * tile->plane + c;
                vf_store(out, t[x]);
                /* 36 streams of lines are more than a processor follows by itself. After the last channels comes the
                 * next tile. */
                if (enters_line) __builtin_prefetch(out + LINE, 1);
            }
        }
    }
}

/* One column or row of A^T m for `outputs` output pixels, a constant. */
CL_INLINE void output_1d(const vf m[6], vf o[4], const int outputs) {
    if (outputs == 1) {
        o[0] = vf_add(vf_add(m[0], m[1]), m[5]);
        return;
    }
    const vf sum1 = vf_add(m[1], m[2]), difference1 = vf_sub(m[1], m[2]);
    if (outputs == 2) {
        o[0] = vf_add(m[0], sum1);
        o[1] = vf_add(difference1, m[5]);
    } else if (outputs == 3) {
        o[0] = vf_add(vf_add(m[0], sum1), m[3]);
        o[1] = vf_fma(m[3], vf_set1(2), difference1);
        o[2] = vf_add(vf_fma(m[3], vf_set1(4), sum1), m[5]);
    } else {
        const vf sum2 = vf_add(m[3], m[4]), difference2 = vf_sub(m[3], m[4]);
        o[0] = vf_add(vf_add(m[0], sum1), sum2);
        o[1] = vf_fma(difference2, vf_set1(2), difference1);
        o[2] = vf_fma(sum2, vf_set1(4), sum1);
        o[3] = vf_add(vf_fma(difference2, vf_set1(8), difference1), m[5]);
    }
}

CL_INLINE void output_tile(const cl_winograd_output *tile, const int rows, const int columns) {
    const vf low = vf_set1(tile->low), high = vf_set1(tile->high);
    for (int64_t c = 0; c < tile->channels; c += LANES) {
        vf half[4][6];
        CL_UNROLL
        for (int x = 0; x < 6; x++) {
            if (!cl_winograd_uses(x, columns)) continue;
            vf column[6], o[4];
            CL_UNROLL
            for (int y = 0; y < 6; y++)
                if (cl_winograd_uses(y, rows)) column[y] = vf_load(tile->in + (y * 6 + x) * tile->plane + c);
            output_1d(column, o, rows);
            CL_UNROLL
            for (int y = 0; y < rows; y++) half[y][x] = o[y];
        }
        const vf bias = vf_load(tile->bias + c);
        CL_UNROLL
        for (int y = 0; y < rows; y++) {
            vf o[4];
            output_1d(half[y], o, columns);
            CL_UNROLL
            for (int x = 0; x < columns; x++) {
                const int64_t at = y * tile->row_stride + x * tile->pixel_stride + c;
                vf value = vf_add(o[x], bias);
                if (tile->residual) value = vf_add(value, vf_load(tile->residual + at));
                vf_store(tile->out + at, vf_clamp(value, low, high));
            }
        }
    }
}

#define FOR_COLUMNS(function, rows)                                                                                    \
    switch (tile->columns) {                                                                                           \
    case 1: function(tile, rows, 1); break;                                                                            \
    case 2: function(tile, rows, 2); break;                                                                            \
    case 3: function(tile, rows, 3); break;                                                                            \
    default: function(tile, rows, 4); break;                                                                           \
    }
#define FOR_SIZES(function)                                                                                            \
    switch (tile->rows) {                                                                                              \
    case 1: FOR_COLUMNS(function, 1) break;                                                                            \
    case 2: FOR_COLUMNS(function, 2) break;                                                                            \
    case 3: FOR_COLUMNS(function, 3) break;                                                                            \
    default: FOR_COLUMNS(function, 4) break;                                                                           \
    }

void KERNEL(cl_winograd_input)(const cl_winograd_input *tile) { FOR_SIZES(input_tile) }

void KERNEL(cl_winograd_output)(const cl_winograd_output *tile) { FOR_SIZES(output_tile) }
