/* exp, sigmoid, erf and tanh of a register, for kernels to include. activation/README.md has their errors and where
 * their constants come from. */
#pragma once

#include "kernels/vector.h"

/* Beyond these exp is taken as at them: so 2^n below, and 1 over exp, are normal numbers. */
#define EXP_LOWEST -87.0f
#define EXP_HIGHEST 87.0f

/* Adding it leaves a whole number in the lowest bits, and as exponent field that number's power of two. */
#define ROUNDING (0x1.8p23f + 127.0f)

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

/* z = x^2: the value at z of the polynomials of degree 5 whose coefficients are a and b, the first by the second. */
CL_INLINE vf quotient(vf z, const float a[6], const float b[6]) {
    vf p = vf_set1(a[5]), q = vf_set1(b[5]);
    CL_UNROLL
    for (int i = 4; i >= 0; i--) {
        p = vf_fma(p, z, vf_set1(a[i]));
        q = vf_fma(q, z, vf_set1(b[i]));
    }
    return vf_div(p, q);
}

CL_INLINE vf unit_clamp(vf x) { return vf_clamp(x, vf_set1(-1.0f), vf_set1(1.0f)); }

/* erf(x / sqrt(2)): an odd function, x times a quotient. At 5.7 the quotient is past 1,
 * which it is cut off at: 1 - erf is below a rounding there. */
CL_INLINE vf error_function(vf x) {
    static const float a[6] = {0x1.988452p-1f,  0x1.121846p-4f,  0x1.30d6dcp-7f,
                               0x1.59228ep-12f, 0x1.a6e45cp-17f, 0x1.89f45ap-25f};
    static const float b[6] = {1.0f, 0x1.008c52p-2f, 0x1.d191c2p-6f, 0x1.e7c1a0p-10f, 0x1.2eb08ap-14f, 0x1.41dc96p-20f};
    x = vf_clamp(x, vf_set1(-5.7f), vf_set1(5.7f));
    return unit_clamp(vf_mul(x, quotient(vf_mul(x, x), a, b)));
}

/* tanh(x), in the same way; beyond 9 it is 1. */
CL_INLINE vf hyperbolic_tangent(vf x) {
    static const float a[6] = {1.0f, 0x1.20c450p-3f, 0x1.221f86p-8f, 0x1.62d47cp-15f, 0x1.de1fe2p-24f, 0x1.4403a4p-35f};
    static const float b[6] = {1.0f, 0x1.e5b77ep-2f, 0x1.de7ca0p-6f, 0x1.06ae20p-11f, 0x1.5dccb2p-19f, 0x1.965a5ap-29f};
    x = vf_clamp(x, vf_set1(-9.0f), vf_set1(9.0f));
    return unit_clamp(vf_mul(x, quotient(vf_mul(x, x), a, b)));
}
