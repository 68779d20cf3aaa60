/* The exponentials of a softmax, and their sums; whoever uses them divides. README.md beside this file. */
#include "kernels/functions.h"
#include "kernels/kernels.h"

void KERNEL(cl_softmax)(const cl_softmax *rows);

/* The last register of a row of `count` numbers, with `fill` behind them. */
CL_INLINE vf last_of(const float *in, int64_t count, float fill) {
    float numbers[LANES];
    for (int64_t i = 0; i < LANES; i++) numbers[i] = i < count ? in[i] : fill;
    return vf_load(numbers);
}

CL_INLINE float largest_of(const float *in, int64_t count) {
    const int64_t whole = count / LANES * LANES;
    float lanes[LANES];
    vf most = last_of(in, count, in[0]);
    for (int64_t c = 0; c < whole; c += LANES) most = vf_max(most, vf_load(in + c));
    if (whole < count) most = vf_max(most, last_of(in + whole, count - whole, in[0]));
    vf_store(lanes, most);
    for (int i = 1; i < LANES; i++) lanes[0] = lanes[i] > lanes[0] ? lanes[i] : lanes[0];
    return lanes[0];
}

/* exp(scale * x + offset) of a row in place; the sum. */
CL_INLINE float powers_of(float *data, int64_t count, int64_t stride, vf scale, vf offset) {
    const int64_t whole = count / LANES * LANES;
    float lanes[LANES];
    double sum = 0;
    vf sums = vf_zero();
    for (int64_t c = 0; c < whole; c += LANES) {
        const vf power = exponential(vf_fma(vf_load(data + c), scale, offset));
        vf_store(data + c, power);
        sums = vf_add(sums, power);
    }
    if (whole < count) {
        vf_store(lanes, exponential(vf_fma(last_of(data + whole, count - whole, data[0]), scale, offset)));
        const vf power = last_of(lanes, count - whole, 0.0f);
        vf_store(data + whole, power);
        sums = vf_add(sums, power);
    }
    for (int64_t c = whole < count ? whole + LANES : whole; c < stride; c += LANES) vf_store(data + c, vf_zero());
    vf_store(lanes, sums);
    for (int i = 0; i < LANES; i++) sum += (double)lanes[i];
    return (float)sum;
}

void KERNEL(cl_softmax)(const cl_softmax *s) {
    float *data = s->data;
    for (int64_t r = 0; r < s->rows; r++, data += s->stride) {
        const int64_t count = s->seen + r + 1 < s->count ? s->seen + r + 1 : s->count;
        const float offset = -s->scale * largest_of(data, count);
        s->sums[r] = powers_of(data, count, s->stride, vf_set1(s->scale), vf_set1(offset));
    }
}
