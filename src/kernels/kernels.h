/* The network's inner loops: one table per instruction set, chosen once.
 *
 * Feature maps are height, width, channel, with the channels of a pixel padded to a
 * multiple of `lanes`, so that no kernel has a remainder to treat in that direction.
 * Every output number is summed in one fixed order, whatever tile it falls into. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"

/* Functions of one number x other than clamps. */
typedef enum cl_activation_kind {
    CL_ACTIVATION_NONE,
    CL_LEAKY_RELU,   /* x, and alpha x where x is negative */
    CL_SIGMOID,      /* 1 / (1 + exp(-x)) */
    CL_HARD_SIGMOID, /* max(0, min(1, alpha x + beta)) */
    CL_SWISH,        /* x sigmoid(x) */
    CL_HARD_SWISH,   /* x max(0, min(1, alpha x + beta)) */
    CL_EXP,
    CL_TANH,
    CL_GELU_ERF,  /* x / 2 (1 + erf(x / sqrt(2))) */
    CL_GELU_TANH, /* x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
    CL_GELU_QUICK /* x sigmoid(1.702 x) */
} cl_activation_kind;

typedef struct cl_activation {
    cl_activation_kind what;
    float alpha, beta; /* 0 where there are none */
} cl_activation;

/* C = activation of clamp(A B + bias + residual).
 * A: m rows, a_stride apart, each of `runs` runs of k numbers, run_stride apart (0 runs means one).
 * B: runs * k rows of `columns` numbers, packed by gemm_pack.
 * C, residual and bias: m rows (bias: one) of `columns` numbers, padded by zeros to a multiple of lanes. The residual
 * is not in C, which may hold sums on their way. */
typedef struct cl_gemm {
    int64_t m, k, columns;
    const float *a;
    int64_t a_stride;
    int64_t runs, run_stride;
    const float *b;
    const float *bias; /* NULL for none */
    float *c;
    int64_t c_stride;
    const float *residual; /* NULL for none */
    int64_t residual_stride;
    float low, high;
    const cl_activation *activation; /* of what has been stored; NULL for none */
    bool zeros; /* A may have many zeros, whose products may be left out; B has neither infinities nor NaN */
} cl_gemm;

/* Two neighbouring rows of the output of a depthwise convolution, or one. */
typedef struct cl_depthwise {
    /* Input rows of each output row, kernel_height pointers; NULL for one above or below the image. rows[1] is NULL
     * when there is but one output row. */
    const float *const *rows[2];
    int64_t channels; /* padded */
    int32_t input_width, output_width;
    int32_t kernel_height, kernel_width, stride, dilation, pad_left;
    const float *weights; /* see cl_depthwise_weight */
    const float *bias;
    float low, high;
    float *out[2]; /* output_width x channels */
} cl_depthwise;

/* Whether a tile cut to `outputs` pixels, 1 to 4, in one direction uses point 0 to 5 of Winograd's domain there. */
static inline int cl_winograd_uses(int point, int outputs) { return point == 5 || point <= outputs; }

/* The pixels around a tile of rows x columns output pixels, on their way into Winograd's domain. */
typedef struct cl_winograd_input {
    const float *pixels[6][6]; /* rows + 2 by columns + 2; where one is outside the map: zeros */
    int32_t rows, columns;     /* 1 to 4 */
    int64_t channels;          /* padded */
    float *out;                /* 6x6 planes, `plane` apart; those that the tile does not use are left alone */
    int64_t plane;
} cl_winograd_input;

/* The same tile on its way back. */
typedef struct cl_winograd_output {
    const float *in; /* 6x6 planes of `channels` numbers, `plane` apart */
    int64_t plane, channels;
    int32_t rows, columns;
    const float *bias;
    const float *residual; /* laid out as out; NULL for none */
    float low, high;
    float *out; /* the tile's first pixel */
    int64_t pixel_stride, row_stride;
} cl_winograd_output;

/* Operators of two numbers. */
typedef enum cl_operator { CL_ADD, CL_SUBTRACT, CL_MULTIPLY, CL_DIVIDE } cl_operator;

/* out[p][c] = clamp(a[p][c] op b[p][c]): pixels of a lie a_step apart and those of b b_step, 0 for a vector that meets
 * every pixel of the other. */
typedef struct cl_arithmetic {
    cl_operator op;
    const float *a, *b;
    int64_t a_step, b_step;
    int64_t pixels, channels; /* padded */
    float low, high;
    float *out; /* its pixels `channels` apart */
} cl_arithmetic;

/* out = (in - mean) / sqrt(variance + epsilon) * scale + shift of each row, mean and variance over its `channels`
 * numbers. Rows are `stride` apart, and out may be in. */
typedef struct cl_layer_norm {
    int64_t rows, channels, stride;
    double epsilon;
    const float *in, *scale, *shift; /* scale and shift padded */
    float *out;
} cl_layer_norm;

/* Each row of `count` numbers becomes exp(scale * (x - the largest)), and its sum is written aside. Rows are `stride`
 * numbers apart, padded; what pads them becomes 0. */
typedef struct cl_softmax {
    int64_t rows, count, stride;
    int64_t seen; /* row r has only `seen` + r + 1 numbers, if those are fewer than count; the rest become 0 */
    float scale;  /* positive */
    float *data;
    float *sums; /* one for each row */
} cl_softmax;

typedef struct cl_kernels {
    const char *name;
    int32_t lanes;

    /* Numbers that gemm_pack writes for a k x columns matrix. */
    int64_t (*gemm_packed_count)(int64_t k, int64_t columns);
    /* Packs B, whose element (row, column) is b[row * row_stride + column * column_stride]. */
    void (*gemm_pack)(int64_t k, int64_t columns, const float *b, int64_t row_stride, int64_t column_stride,
                      float *packed);
    void (*gemm)(const cl_gemm *gemm);

    void (*depthwise)(const cl_depthwise *rows);

    void (*winograd_input)(const cl_winograd_input *tile);
    void (*winograd_output)(const cl_winograd_output *tile);

    void (*arithmetic)(const cl_arithmetic *arithmetic);
    /* out = activation of in, which may be the same; `count` a multiple of lanes. */
    void (*activate)(const cl_activation *activation, int64_t count, const float *in, float *out);
    /* out[p][c] = clamp(in[p][c] * scale[c] + shift[c]) for `pixels` pixels. */
    void (*scale)(const float *in, int64_t pixels, int64_t channels, const float *scale, const float *shift, float low,
                  float high, float *out);
    /* out[c] = max over the given pixels; of one window. */
    void (*maximum)(const float *const *pixels, int64_t count, int64_t channels, float *out);
    /* out[c] = factor * sum over the given pixels. */
    void (*sum)(const float *const *pixels, int64_t count, int64_t channels, float factor, float *out);

    void (*layer_norm)(const cl_layer_norm *rows);
    void (*softmax)(const cl_softmax *rows);
} cl_kernels;

/* Channels as a map has room for them: filled up to whole registers. */
static inline int64_t cl_padded(const cl_kernels *kernels, int64_t channels) {
    return (channels + kernels->lanes - 1) / kernels->lanes * kernels->lanes;
}

/* Where the weight of tap t of `taps`, row by row, for channel c stands: a register of channels has its taps together,
 * in the order in which the kernel takes them. */
static inline int64_t cl_depthwise_weight(const cl_kernels *kernels, int64_t taps, int64_t t, int64_t c) {
    return (c / kernels->lanes * taps + t) * kernels->lanes + c % kernels->lanes;
}

/* The table for one instruction set; NULL when this processor does not have it. */
const cl_kernels *cl_kernels_for(cl_cpu_level level);

/* The table for this processor. */
const cl_kernels *cl_kernels_get(void);
