/* exp and what is made of it, erf and tanh, against float64, for every instruction set of this machine. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/kernels.h"
#include "exact.h"
#include "random.h"
#include "test.h"

static double activation(cl_activation_kind what, double x, double a, double b) {
    const double line = fmin(fmax(a * x + b, 0), 1);
    switch (what) {
    case CL_LEAKY_RELU: return x < 0 ? a * x : x;
    case CL_SIGMOID: return 1 / (1 + exp(-x));
    case CL_HARD_SIGMOID: return line;
    case CL_SWISH: return x / (1 + exp(-x));
    case CL_HARD_SWISH: return x * line;
    case CL_EXP: return exp(x);
    case CL_TANH: return tanh(x);
    case CL_GELU_ERF: return x / 2 * erfc(-x / sqrt(2));
    case CL_GELU_TANH: return x / (1 + exp(-sqrt(8 / acos(-1)) * (x + 0.044715 * x * x * x)));
    case CL_GELU_QUICK: return x / (1 + exp(-1.702 * x));
    case CL_ACTIVATION_NONE: break;
    }
    return NAN;
}

/* Relative error in units of 2^-24 that src/kernels/activation/README.md promises. */
static const struct {
    cl_activation_kind what;
    double error;
} activations[] = {{CL_EXP, 1.5}, {CL_SIGMOID, 2.6}, {CL_SWISH, 3.3}, {CL_LEAKY_RELU, 1}, {CL_TANH, 5.5}};

/* Largest difference in units of 2^-24 times |x|. */
static const struct {
    cl_activation_kind what;
    double error;
} gelus[] = {{CL_GELU_ERF, 4}, {CL_GELU_TANH, 2.6}, {CL_GELU_QUICK, 2.6}};

static void activations_agree(void) {
    enum { COUNT = 4096 };
    float *in = cl_alloc(COUNT, sizeof *in), *out = cl_alloc(COUNT, sizeof *out);
    for (size_t k = 0; k < sizeof activations / sizeof *activations; k++) {
        const cl_activation_kind what = activations[k].what;
        double worst = 0, at = 0;
        for (int block = 0; block < 300; block++) {
            /* All over the range, and densely around 0. */
            const float range = block % 3 == 0 ? 87 : block % 3 == 1 ? 4 : 0x1p-10f;
            for (int i = 0; i < COUNT; i++) in[i] = next_random() * range;
            kernels->activate(&(cl_activation){what, 0.1f, 0}, COUNT, in, out);
            for (int i = 0; i < COUNT; i++) {
                const double right = activation(what, (double)in[i], (double)0.1f, 0);
                const double error = fabs((double)out[i] - right) / fabs(right) * 0x1p24;
                if (!(error <= worst)) worst = error, at = (double)in[i];
            }
        }
        CHECK_MSG(worst <= activations[k].error, "activation %d: error %g at %g, %s", (int)what, worst, at,
                  kernels->name);
    }
    for (size_t k = 0; k < sizeof gelus / sizeof *gelus; k++) {
        const cl_activation_kind what = gelus[k].what;
        double worst = 0, at = 0;
        for (int block = 0; block < 300; block++) {
            const float range = block % 3 == 0 ? 12 : block % 3 == 1 ? 4 : 0x1p-10f;
            for (int i = 0; i < COUNT; i++) in[i] = next_random() * range;
            kernels->activate(&(cl_activation){.what = what}, COUNT, in, out);
            for (int i = 0; i < COUNT; i++) {
                const double right = activation(what, (double)in[i], 0, 0);
                const double error = fabs((double)out[i] - right) / fabs((double)in[i]) * 0x1p24;
                if (!(error <= worst)) worst = error, at = (double)in[i];
            }
        }
        CHECK_MSG(worst <= gelus[k].error, "gelu %d: error %g at %g, %s", (int)what, worst, at, kernels->name);
        /* Far outside x and 0 remain, the latter as far as a float goes: 1e30 times exp(-87) is 1.6e-8. */
        for (int i = 0; i < 16; i++) in[i] = i % 2 ? -1e9f : 1e9f;
        kernels->activate(&(cl_activation){.what = what}, 16, in, out);
        CHECK_MSG(out[0] == 1e9f && fabsf(out[1]) < 1e-20f, "gelu %d far outside: %g %g", (int)what, (double)out[0],
                  (double)out[1]);
    }
    for (int hard = 0; hard < 2; hard++) { /* differences nearly cancel: an absolute error */
        const cl_activation_kind what = hard ? CL_HARD_SWISH : CL_HARD_SIGMOID;
        int wrong = 0;
        for (int i = 0; i < COUNT; i++) in[i] = next_random() * 6;
        kernels->activate(&(cl_activation){what, 1.0f / 6, 0.5f}, COUNT, in, out);
        for (int i = 0; i < COUNT; i++) {
            const double right = activation(what, (double)in[i], (double)(1.0f / 6), 0.5);
            wrong += !(fabs((double)out[i] - right) <= 0x1p-22 * (hard ? fabs((double)in[i]) : 1));
        }
        CHECK_MSG(wrong == 0, "activation %d, %s", (int)what, kernels->name);
    }
    /* Far outside: neither 0 nor infinity nor NaN where the exact result is not far from it; and in place. */
    for (int i = 0; i < 16; i++) in[i] = i % 4 == 0 ? INFINITY : i % 4 == 1 ? -INFINITY : i % 4 == 2 ? 1e30f : -1e30f;
    kernels->activate(&(cl_activation){.what = CL_SIGMOID}, 16, in, out);
    int wrong = 0;
    for (int i = 0; i < 16; i++) wrong += i % 2 ? !(out[i] > 0 && out[i] < 2e-38f) : out[i] != 1;
    kernels->activate(&(cl_activation){.what = CL_EXP}, 16, in, in);
    for (int i = 0; i < 16; i++) wrong += i % 2 ? !(in[i] > 0 && in[i] < 2e-38f) : !(in[i] > 6e37f && in[i] < 7e37f);
    CHECK_MSG(wrong == 0, "far outside, %s", kernels->name);
    cl_free(in), cl_free(out);
}

int main(void) {
    for (int level = CL_CPU_SCALAR; level <= CL_CPU_AVX512; level++) {
        kernels = cl_kernels_for((cl_cpu_level)level);
        if (!kernels) continue;
        printf("%s:\n", kernels->name);
        RUN(activations_agree);
    }
    return test_finish();
}
