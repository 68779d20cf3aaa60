/* Layer normalisation of rows. README.md beside this file has the order of the sums. */
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/vector.h"

/* Sums that are added up side by side, to hide the latency of an addition. */
#define SUMS 4

void KERNEL(cl_layer_norm)(const cl_layer_norm *rows);

/* The lanes of the sums, added up in their order. */
CL_INLINE double total(const vf sums[SUMS]) {
    float lanes[SUMS * LANES];
    double sum = 0;
    for (int i = 0; i < SUMS; i++) vf_store(lanes + i * LANES, sums[i]);
    for (int i = 0; i < SUMS * LANES; i++) sum += (double)lanes[i];
    return sum;
}

/* The last register of a row of `count` numbers, with `fill` behind them. */
CL_INLINE vf last_of(const float *in, int64_t count, float fill) {
    float numbers[LANES];
    for (int64_t i = 0; i < LANES; i++) numbers[i] = i < count ? in[i] : fill;
    return vf_load(numbers);
}

/* One register more of the sum of the numbers, or of the squares of their distances from `mean`. */
CL_INLINE vf add_to(vf sum, vf x, vf mean, const int squares) {
    if (!squares) return vf_add(sum, x);
    x = vf_sub(x, mean);
    return vf_fma(x, x, sum);
}

CL_INLINE double sum_of(const float *in, int64_t count, float mean, const int squares) {
    const vf centre = vf_set1(mean);
    const int64_t whole = count / LANES * LANES;
    vf sums[SUMS];
    int64_t c = 0;
    CL_UNROLL
    for (int i = 0; i < SUMS; i++) sums[i] = vf_zero();
    for (; c + SUMS * LANES <= whole; c += SUMS * LANES) {
        CL_UNROLL
        for (int i = 0; i < SUMS; i++) sums[i] = add_to(sums[i], vf_load(in + c + i * LANES), centre, squares);
    }
    for (; c < whole; c += LANES) sums[0] = add_to(sums[0], vf_load(in + c), centre, squares);
    if (whole < count) sums[0] = add_to(sums[0], last_of(in + whole, count - whole, mean), centre, squares);
    /* Without squares, mean is 0: what fills the last register adds nothing either way. */
    return total(sums);
}

void KERNEL(cl_layer_norm)(const cl_layer_norm *n) {
    const double count = (double)n->channels;
    const float *in = n->in;
    float *out = n->out;
    for (int64_t r = 0; r < n->rows; r++, in += n->stride, out += n->stride) {
        const float mean = (float)(sum_of(in, n->channels, 0.0f, 0) / count);
        const double variance = sum_of(in, n->channels, mean, 1) / count;
        const vf centre = vf_set1(mean), factor = vf_set1((float)(1 / sqrt(variance + n->epsilon)));
        for (int64_t c = 0; c < n->stride; c += LANES) {
            const vf x = vf_mul(vf_sub(vf_load(in + c), centre), factor);
            vf_store(out + c, vf_fma(x, vf_load(n->scale + c), vf_load(n->shift + c)));
        }
    }
}
