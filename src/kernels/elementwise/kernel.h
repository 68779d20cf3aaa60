/* Loops that touch each number once: addition, scaling, pooling windows. */
#include "kernels/kernels.h"
#include "kernels/vector.h"

void KERNEL(cl_add)(const float *a, const float *b, int64_t count, float low, float high, float *out);
void KERNEL(cl_scale)(const float *in, int64_t pixels, int64_t channels, const float *scale, const float *shift,
                      float low, float high, float *out);
void KERNEL(cl_maximum)(const float *const *pixels, int64_t count, int64_t channels, float *out);
void KERNEL(cl_sum)(const float *const *pixels, int64_t count, int64_t channels, float factor, float *out);

void KERNEL(cl_add)(const float *a, const float *b, int64_t count, float low, float high, float *out) {
    const vf lowest = vf_set1(low), highest = vf_set1(high);
    for (int64_t i = 0; i < count; i += LANES)
        vf_store(out + i, vf_clamp(vf_add(vf_load(a + i), vf_load(b + i)), lowest, highest));
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
