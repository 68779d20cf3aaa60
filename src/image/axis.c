#include "image/axis.h"

#include <math.h>

#include "kernels/resize/resize.h"

/* Weights up to this many bytes are kept; beyond, when a side has millions of pixels, they are computed where
 * they are used. */
#define TABLE_BYTES_MAX (64 << 20)
#define PI 3.14159265358979323846

static double bicubic(double x) {
    const double a = -0.5;
    if (x < 0.0) x = -x;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double bilinear(double x) {
    if (x < 0.0) x = -x;
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double sinc(double x) {
    if (x == 0.0) return 1.0;
    x *= PI;
    return sin(x) / x;
}

static double lanczos(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

static double center_of(const cl_axis *axis, int32_t o) {
    return axis->begin + ((double)(axis->offset + o) + 0.5) * axis->scale;
}

static void compute_weights(const cl_axis *axis, int32_t o, int64_t from, int64_t count, int32_t *weights) {
    if (!axis->filter) {
        for (int64_t i = 0; i < count; i++) weights[i] = 1 << CL_RESIZE_BITS;
        return;
    }
    double center = center_of(axis, o);
    for (int64_t i = 0; i < count; i++) {
        double w = axis->filter(((double)(from + i) - center + 0.5) * axis->inverse);
        if (axis->sum[o] != 0.0) w /= axis->sum[o];
        w *= 1 << CL_RESIZE_BITS;
        weights[i] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
}

_Bool cl_axis_init(cl_axis *axis, cl_axis_part part, int32_t filter, int64_t out, int64_t offset, int32_t count) {
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
    static const struct {
        double support;
        double (*filter)(double);
    } filters[] = {[COULIS_FILTER_BICUBIC] = {2.0, bicubic},
                   [COULIS_FILTER_BILINEAR] = {1.0, bilinear},
                   [COULIS_FILTER_NEAREST] = {0.5, NULL},
                   [COULIS_FILTER_LANCZOS] = {3.0, lanczos}};
    axis->filter = filters[filter].filter;
    axis->support = filters[filter].support * stretch;
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

    /* Pillow adds the scale up from sample to sample. */
    double place = axis->begin + axis->scale * 0.5;
    for (int64_t o = -offset; !axis->filter && o < count; o++, place += axis->scale) {
        if (o < 0) continue;
        int64_t first = (int64_t)place;
        axis->first[o] = first < 0 ? 0 : first >= in ? in - 1 : first;
        axis->taps[o] = 1;
        axis->sum[o] = 1.0;
        if (axis->table) compute_weights(axis, (int32_t)o, axis->first[o], 1, axis->table + o * axis->table_stride);
    }
    for (int32_t o = 0; axis->filter && o < count; o++) {
        double center = center_of(axis, o);
        int64_t first = (int64_t)(center - axis->support + 0.5);
        int64_t end = (int64_t)(center + axis->support + 0.5);
        if (first < 0) first = 0;
        if (end > in) end = in;
        double sum = 0.0;
        for (int64_t i = first; i < end; i++) sum += axis->filter(((double)i - center + 0.5) * axis->inverse);
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
