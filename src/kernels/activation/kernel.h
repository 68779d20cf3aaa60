/* Activations that are no clamp. README.md beside this file has the error of exp and where its constants come from. */
#include "kernels/kernels.h"
#include "kernels/vector.h"

/* Beyond these exp is taken as at them: so 2^n below, and 1 over exp, are normal numbers. */
#define EXP_LOWEST -87.0f
#define EXP_HIGHEST 87.0f

/* Adding it leaves a whole number in the lowest bits, and as exponent field that number's power of two. */
#define ROUNDING (0x1.8p23f + 127.0f)

void KERNEL(cl_activate)(const cl_activation *activation, int64_t count, const float *in, float *out);

/* exp(x) = 2^n exp(r), r from -ln 2 / 2 to ln 2 / 2. */
CL_INLINE vf exponential(vf x) {
    x = vf_clamp(x, vf_set1(EXP_LOWEST), vf_set1(EXP_HIGHEST));
    const vf shifted = vf_fma(x, vf_set1(0x1.715476p+0f), vf_set1(ROUNDING)); /* 1 / ln 2 */
    const vf n = vf_sub(shifted, vf_set1(ROUNDING));
    /* ln 2 in two parts, the first so short that n times it is exact. */
    vf r = vf_fma(n, vf_set1(-0x1.63p-1f), x);
    r = vf_fma(n, vf_set1(0x1.bd0106p-13f), r);
    vf q = vf_fma(vf_set1(0x1.6a2356p-10f), r, vf_set1(0x1.123a72p-7f));
    q = vf_fma(q, r, vf_set1(0x1.5558f4p-5f));
    q = vf_fma(q, r, vf_set1(0x1.555490p-3f));
    q = vf_fma(q, r, vf_set1(0x1.fffffcp-2f));
    q = vf_fma(q, vf_mul(r, r), r);
    return vf_mul(vf_add(q, vf_set1(1.0f)), vf_exponent(shifted));
}

CL_INLINE vf sigmoid(vf x) {
    const vf one = vf_set1(1.0f);
    return vf_div(one, vf_add(one, exponential(vf_sub(vf_zero(), x))));
}

CL_INLINE vf hard_sigmoid(vf x, vf a, vf b) { return vf_clamp(vf_fma(x, a, b), vf_zero(), vf_set1(1.0f)); }

/* One of the two clamps is 0. */
CL_INLINE vf leaky(vf x, vf slope) { return vf_fma(vf_min(x, vf_zero()), slope, vf_max(x, vf_zero())); }

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
    case CL_ACTIVATION_NONE: break;
    }
}
