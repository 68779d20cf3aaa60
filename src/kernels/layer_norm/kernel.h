/* Layer normalisation of rows. README.md beside this file has the order of the sums. */
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/vector.h"

/* Sums that are added up side by side, to hide the latency of an addition. */
#define SUMS 4

void KERNEL(cl_layer_norm)(const cl_layer_norm *rows);

/* Rows whose lanes are added up side by side: an addition waits for the one before it. */
#define ROWS 4

/* The lanes of the sums of each row, added up in their order. */
CL_INLINE void totals(const float lanes[ROWS][SUMS * LANES], const int rows, double sums[ROWS]) {
    CL_UNROLL
    for (int r = 0; r < rows; r++) sums[r] = 0;
    for (int i = 0; i < SUMS * LANES; i++) {
        CL_UNROLL
        for (int r = 0; r < rows; r++) sums[r] += (double)lanes[r][i];
    }
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

CL_INLINE void lanes_of(const float *in, int64_t count, float mean, const int squares, float lanes[SUMS * LANES]) {
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
    CL_UNROLL
    for (int i = 0; i < SUMS; i++) vf_store(lanes + i * LANES, sums[i]);
}

/* `rows` is a constant after inlining. */
CL_INLINE void norm_rows(const cl_layer_norm *n, const float *in, float *out, const int rows) {
    const double count = (double)n->channels;
    float lanes[ROWS][SUMS * LANES], mean[ROWS];
    double sums[ROWS];
    for (int r = 0; r < rows; r++) lanes_of(in + r * n->stride, n->channels, 0.0f, 0, lanes[r]);
    totals(lanes, rows, sums);
    for (int r = 0; r < rows; r++) mean[r] = (float)(sums[r] / count);
    for (int r = 0; r < rows; r++) lanes_of(in + r * n->stride, n->channels, mean[r], 1, lanes[r]);
    totals(lanes, rows, sums);
    for (int r = 0; r < rows; r++, in += n->stride, out += n->stride) {
        const vf centre = vf_set1(mean[r]), factor = vf_set1((float)(1 / sqrt(sums[r] / count + n->epsilon)));
        for (int64_t c = 0; c < n->stride; c += LANES) {
            const vf x = vf_mul(vf_sub(vf_load(in + c), centre), factor);
            vf_store(out + c, vf_fma(x, vf_load(n->scale + c), vf_load(n->shift + c)));
        }
    }
}

void KERNEL(cl_layer_norm)(const cl_layer_norm *n) {
    const float *in = n->in;
    float *out = n->out;
    int64_t r = 0;
    for (; r + ROWS <= n->rows; r += ROWS, in += ROWS * n->stride, out += ROWS * n->stride) norm_rows(n, in, out, ROWS);
    for (; r < n->rows; r++, in += n->stride, out += n->stride) norm_rows(n, in, out, 1);
}
