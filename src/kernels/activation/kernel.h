/* Activations that are no clamp. README.md beside this file has their errors. */
#include "kernels/functions.h"
#include "kernels/kernels.h"

void KERNEL(cl_activate)(const cl_activation *activation, int64_t count, const float *in, float *out);

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
CL_INLINE void all_of(const cl_activation_kind what, const cl_activation *activation, int64_t count, const float *in,
                      float *out) {
    const vf a = vf_set1(activation->alpha), b = vf_set1(activation->beta);
    for (int64_t i = 0; i < count; i += LANES) {
        const vf x = vf_load(in + i);
        vf y = x;
        switch (what) {
        case CL_LEAKY_RELU: y = leaky(x, a); break;
        case CL_SIGMOID: y = sigmoid(x); break;
        case CL_HARD_SIGMOID: y = hard_sigmoid(x, a, b); break;
        case CL_SWISH: y = vf_mul(x, sigmoid(x)); break;
        case CL_HARD_SWISH: y = vf_mul(x, hard_sigmoid(x, a, b)); break;
        case CL_EXP: y = exponential(x); break;
        case CL_TANH: y = hyperbolic_tangent(x); break;
        case CL_GELU_ERF: y = gelu_erf(x); break;
        case CL_GELU_TANH: y = gelu_tanh(x); break;
        case CL_GELU_QUICK: y = vf_mul(x, sigmoid(vf_mul(x, vf_set1(1.702f)))); break;
        case CL_ACTIVATION_NONE: break;
        }
        vf_store(out + i, y);
    }
}

void KERNEL(cl_activate)(const cl_activation *activation, int64_t count, const float *in, float *out) {
    switch (activation->what) {
    case CL_LEAKY_RELU: all_of(CL_LEAKY_RELU, activation, count, in, out); break;
    case CL_SIGMOID: all_of(CL_SIGMOID, activation, count, in, out); break;
    case CL_HARD_SIGMOID: all_of(CL_HARD_SIGMOID, activation, count, in, out); break;
    case CL_SWISH: all_of(CL_SWISH, activation, count, in, out); break;
    case CL_HARD_SWISH: all_of(CL_HARD_SWISH, activation, count, in, out); break;
    case CL_EXP: all_of(CL_EXP, activation, count, in, out); break;
    case CL_TANH: all_of(CL_TANH, activation, count, in, out); break;
    case CL_GELU_ERF: all_of(CL_GELU_ERF, activation, count, in, out); break;
    case CL_GELU_TANH: all_of(CL_GELU_TANH, activation, count, in, out); break;
    case CL_GELU_QUICK: all_of(CL_GELU_QUICK, activation, count, in, out); break;
    case CL_ACTIVATION_NONE: break;
    }
}
