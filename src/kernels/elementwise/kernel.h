/* Loops that touch each number once: arithmetic of two maps, scaling, pooling windows. */
#include "kernels/kernels.h"
#include "kernels/vector.h"

void KERNEL(cl_arithmetic)(const cl_arithmetic *arithmetic);
void KERNEL(cl_scale)(const float *in, int64_t pixels, int64_t channels, const float *scale, const float *shift,
                      float low, float high, float *out);
void KERNEL(cl_maximum)(const float *const *pixels, int64_t count, int64_t channels, float *out);
void KERNEL(cl_sum)(const float *const *pixels, int64_t count, int64_t channels, float factor, float *out);

/* `op` is a constant after inlining. */
CL_INLINE void arithmetic_of(const cl_arithmetic *r, const cl_operator op) {
    const vf low = vf_set1(r->low), high = vf_set1(r->high);
    const float *a = r->a, *b = r->b;
    float *out = r->out;
    for (int64_t p = 0; p < r->pixels; p++, a += r->a_step, b += r->b_step, out += r->channels) {
        for (int64_t c = 0; c < r->channels; c += LANES) {
            vf x = vf_load(a + c), y = vf_load(b + c);
            if (op == CL_ADD) x = vf_add(x, y);
            else if (op == CL_SUBTRACT) x = vf_sub(x, y);
            else if (op == CL_MULTIPLY) x = vf_mul(x, y);
            else x = vf_div(x, y);
            vf_store(out + c, vf_clamp(x, low, high));
        }
    }
}

void KERNEL(cl_arithmetic)(const cl_arithmetic *arithmetic) {
    switch (arithmetic->op) {
    case CL_ADD: arithmetic_of(arithmetic, CL_ADD); break;
    case CL_SUBTRACT: arithmetic_of(arithmetic, CL_SUBTRACT); break;
    case CL_MULTIPLY: arithmetic_of(arithmetic, CL_MULTIPLY); break;
    case CL_DIVIDE: arithmetic_of(arithmetic, CL_DIVIDE); break;
    }
}

void KERNEL(cl_scale)(const float *in, int64_t pixels, int64_t channels, const float *scale, const float *shift,
                      float low, float high, float *out) {
    const vf lowest = vf_set1(low), highest = vf_set1(high);
    for (int64_t p = 0; p < pixels; p++) {
        for (int64_t c = 0; c < channels; c += LANES) {
            vf value = vf_fma(vf_load(in + p * channels + c), vf_load(scale + c), vf_load(shift + c));
            vf_store(out + p * channels + c, vf_clamp(value, lowest, highest));
        }
    }
}

void KERNEL(cl_maximum)(const float *const *pixels, int64_t count, int64_t channels, float *out) {
    for (int64_t c = 0; c < channels; c += LANES) {
        vf best = vf_load(pixels[0] + c);
        for (int64_t p = 1; p < count; p++) best = vf_max(best, vf_load(pixels[p] + c));
        vf_store(out + c, best);
    }
}

void KERNEL(cl_sum)(const float *const *pixels, int64_t count, int64_t channels, float factor, float *out) {
    const vf times = vf_set1(factor), zero = vf_zero();
    for (int64_t c = 0; c < channels; c += LANES) {
        vf sum = zero;
        for (int64_t p = 0; p < count; p++) sum = vf_add(sum, vf_load(pixels[p] + c));
        vf_store(out + c, vf_fma(sum, times, zero));
    }
}
