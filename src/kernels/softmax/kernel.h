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

/* Rows whose lanes are gone through side by side: each step waits for the one before it. */
#define ROWS 4

/* The largest numbers of a row, lane by lane. */
CL_INLINE void largest_of(const float *in, int64_t count, float lanes[LANES]) {
    const int64_t whole = count / LANES * LANES;
    vf most = last_of(in, count, in[0]);
    for (int64_t c = 0; c < whole; c += LANES) most = vf_max(most, vf_load(in + c));
    if (whole < count) most = vf_max(most, last_of(in + whole, count - whole, in[0]));
    vf_store(lanes, most);
}

/* exp(scale * x + offset) of a row in place; their sums, lane by lane. */
CL_INLINE void powers_of(float *data, int64_t count, int64_t stride, vf scale, vf offset, float lanes[LANES]) {
    const int64_t whole = count / LANES * LANES;
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
}

/* `rows` is a constant after inlining. */
CL_INLINE void softmax_rows(const cl_softmax *s, int64_t first, const int rows) {
    float *data = s->data + first * s->stride, lanes[ROWS][LANES];
    int64_t count[ROWS];
    double sums[ROWS] = {0};
    for (int r = 0; r < rows; r++) {
        count[r] = s->seen + first + r + 1 < s->count ? s->seen + first + r + 1 : s->count;
        largest_of(data + r * s->stride, count[r], lanes[r]);
    }
    for (int i = 1; i < LANES; i++) {
        CL_UNROLL
        for (int r = 0; r < rows; r++) lanes[r][0] = lanes[r][i] > lanes[r][0] ? lanes[r][i] : lanes[r][0];
    }
    for (int r = 0; r < rows; r++) {
        const float offset = -s->scale * lanes[r][0];
        powers_of(data + r * s->stride, count[r], s->stride, vf_set1(s->scale), vf_set1(offset), lanes[r]);
    }
    for (int i = 0; i < LANES; i++) {
        CL_UNROLL
        for (int r = 0; r < rows; r++) sums[r] += (double)lanes[r][i];
    }
    for (int r = 0; r < rows; r++) s->sums[first + r] = (float)sums[r];
}

void KERNEL(cl_softmax)(const cl_softmax *s) {
    int64_t r = 0;
    for (; r + ROWS <= s->rows; r += ROWS) softmax_rows(s, r, ROWS);
    for (; r < s->rows; r++) softmax_rows(s, r, 1);
}
