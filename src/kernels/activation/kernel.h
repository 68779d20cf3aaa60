/* Activations other than clamps. README.md beside this file has their errors. */
#include "kernels/functions.h"
#include "kernels/kernels.h"

void KERNEL(cl_activate)(const cl_activation *activation, int64_t count, const float *in, float *out);
void KERNEL(cl_activate_rows)(const cl_activation *activation, int64_t rows, int64_t count, int64_t stride,
                              float *data);

CL_INLINE vf hard_sigmoid(vf x, vf a, vf b) { return vf_clamp(vf_fma(x, a, b), vf_zero(), vf_set1(1.0f)); }

/* One of the two clamps is 0. */
CL_INLINE vf leaky(vf x, vf slope) { return vf_fma(vf_min(x, vf_zero()), slope, vf_max(x, vf_zero())); }

/* x / 2 (1 + erf(x / sqrt(2))) */
CL_INLINE vf gelu_erf(vf x) {
    const vf half = vf_mul(x, vf_set1(0.5f));
    return vf_fma(half, error_function(x), half);
}

/* x / 2 (1 + tanh(y)) is x sigmoid(2 y), which loses no digits where tanh is near -1. The constants are 2 sqrt(2 / pi)
 * and 0.044715 times that. */
CL_INLINE vf gelu_tanh(vf x) {
    const vf y = vf_fma(vf_mul(x, x), vf_set1(0.07135481627f), vf_set1(1.595769122f));
    return vf_mul(x, sigmoid(vf_mul(x, y)));
}

/* `what` is a constant after inlining. */
CL_INLINE vf value_of(const cl_activation_kind what, vf x, vf a, vf b) {
    switch (what) {
    case CL_LEAKY_RELU: return leaky(x, a);
    case CL_SIGMOID: return sigmoid(x);
    case CL_HARD_SIGMOID: return hard_sigmoid(x, a, b);
    case CL_SWISH: return vf_mul(x, sigmoid(x));
    case CL_HARD_SWISH: return vf_mul(x, hard_sigmoid(x, a, b));
    case CL_EXP: return exponential(x);
    case CL_TANH: return hyperbolic_tangent(x);
    case CL_GELU_ERF: return gelu_erf(x);
    case CL_GELU_TANH: return gelu_tanh(x);
    case CL_GELU_QUICK: return vf_mul(x, sigmoid(vf_mul(x, vf_set1(1.702f))));
    case CL_ACTIVATION_NONE: break;
    }
    return x;
}

/* The same. */
CL_INLINE void all_of(const cl_activation_kind what, const cl_activation *activation, int64_t rows, int64_t count,
                      int64_t stride, const float *in, float *out) {
    const vf a = vf_set1(activation->alpha), b = vf_set1(activation->beta);
    for (int64_t r = 0; r < rows; r++, in += stride, out += stride)
        for (int64_t i = 0; i < count; i += LANES) vf_store(out + i, value_of(what, vf_load(in + i), a, b));
}

static void activate(const cl_activation *activation, int64_t rows, int64_t count, int64_t stride, const float *in,
                     float *out) {
    switch (activation->what) {
    case CL_LEAKY_RELU: all_of(CL_LEAKY_RELU, activation, rows, count, stride, in, out); break;
    case CL_SIGMOID: all_of(CL_SIGMOID, activation, rows, count, stride, in, out); break;
    case CL_HARD_SIGMOID: all_of(CL_HARD_SIGMOID, activation, rows, count, stride, in, out); break;
    case CL_SWISH: all_of(CL_SWISH, activation, rows, count, stride, in, out); break;
    case CL_HARD_SWISH: all_of(CL_HARD_SWISH, activation, rows, count, stride, in, out); break;
    case CL_EXP: all_of(CL_EXP, activation, rows, count, stride, in, out); break;
    case CL_TANH: all_of(CL_TANH, activation, rows, count, stride, in, out); break;
    case CL_GELU_ERF: all_of(CL_GELU_ERF, activation, rows, count, stride, in, out); break;
    case CL_GELU_TANH: all_of(CL_GELU_TANH, activation, rows, count, stride, in, out); break;
    case CL_GELU_QUICK: all_of(CL_GELU_QUICK, activation, rows, count, stride, in, out); break;
    case CL_ACTIVATION_NONE: break;
    }
}

void KERNEL(cl_activate)(const cl_activation *activation, int64_t count, const float *in, float *out) {
    activate(activation, 1, count, count, in, out);
}

void KERNEL(cl_activate_rows)(const cl_activation *activation, int64_t rows, int64_t count, int64_t stride,
                              float *data) {
    activate(activation, rows, count, stride, data, data);
}
