#include "image/axis.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/resize/resize.h"

/* Weights up to this many bytes are kept; beyond, when a side has millions of pixels, they are computed where
 * they are used. */
#define TABLE_BYTES_MAX (64 << 20)

static double bicubic(double x) {
    const double a = -0.5;
    if (x < 0.0) x = -x;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double center_of(const cl_axis *axis, int32_t o) {
    return axis->begin + ((double)(axis->offset + o) + 0.5) * axis->scale;
}

static void compute_weights(const cl_axis *axis, int32_t o, int64_t from, int64_t count, int32_t *weights) {
    double center = center_of(axis, o);
    for (int64_t i = 0; i < count; i++) {
        double w = bicubic(((double)(from + i) - center + 0.5) * axis->inverse);
        if (axis->sum[o] != 0.0) w /= axis->sum[o];
        w *= 1 << CL_RESIZE_BITS;
        weights[i] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
}

_Bool cl_axis_init(cl_axis *axis, cl_axis_part part, int64_t out, int64_t offset, int32_t count) {
    memset(axis, 0, sizeof *axis);
    int64_t in = part.samples;
    axis->in = in;
    axis->out = out;
    axis->offset = offset;
    axis->count = count;
    /* Pillow keeps the edges in single precision, which tells above 2^24. */
    axis->begin = (double)(float)part.begin;
    axis->scale = (double)((float)part.end - (float)part.begin) / (double)out;
    double stretch = axis->scale < 1.0 ? 1.0 : axis->scale;
    axis->support = 2.0 * stretch;
    axis->inverse = 1.0 / stretch;

    axis->first = cl_alloc((size_t)count, sizeof *axis->first);
    axis->taps = cl_alloc((size_t)count, sizeof *axis->taps);
    axis->sum = cl_alloc((size_t)count, sizeof *axis->sum);
    if (!axis->first || !axis->taps || !axis->sum) return 0;
    axis->table_stride = (int64_t)ceil(axis->support) * 2 + 1;
    if (axis->table_stride <= TABLE_BYTES_MAX / (int64_t)sizeof(int32_t) / count) {
        axis->table = cl_alloc((size_t)(axis->table_stride * count), sizeof *axis->table);
        if (!axis->table) return 0;
    }

    for (int32_t o = 0; o < count; o++) {
        double center = center_of(axis, o);
        int64_t first = (int64_t)(center - axis->support + 0.5);
        int64_t end = (int64_t)(center + axis->support + 0.5);
        if (first < 0) first = 0;
        if (end > in) end = in;
        double sum = 0.0;
        for (int64_t i = first; i < end; i++) sum += bicubic(((double)i - center + 0.5) * axis->inverse);
        axis->first[o] = first;
        axis->taps[o] = end - first;
        axis->sum[o] = sum;
        if (axis->table) compute_weights(axis, o, first, end - first, axis->table + o * axis->table_stride);
    }
    return 1;
}

void cl_axis_free(cl_axis *axis) {
    cl_free(axis->first);
    cl_free(axis->taps);
    cl_free(axis->sum);
    cl_free(axis->table);
    memset(axis, 0, sizeof *axis);
}

const int32_t *cl_axis_weights(const cl_axis *axis, int32_t o, int64_t from, int64_t count, int32_t *scratch) {
    if (axis->table) return axis->table + o * axis->table_stride + (from - axis->first[o]);
    compute_weights(axis, o, from, count, scratch);
    return scratch;
}
