/* The kernels under test, and sums in float64 beside what a float32 sum may differ from them. */
#pragma once

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "kernels/kernels.h"

static const cl_kernels *kernels; /* the table under test */

static inline int64_t padded(int64_t channels) { return cl_padded(kernels, channels); }

/* A sum in float64 beside what a float32 sum in the same order may differ from it: half a unit in the last place
 * of everything that is rounded on the way, each partial sum and, without fused multiply-add, each product. */
typedef struct exact {
    double sum, rounded;
} exact;

static inline void add_product(exact *e, double a, double b) {
    e->sum += a * b;
    e->rounded += fabs(e->sum) + fabs(a * b);
}

/* The hundredth more is for errors of errors: 50,000 times 2^-24 is a third of it. */
static inline int differs(float got, const exact *e, float low, float high) {
    double expected = fmin(fmax(e->sum, (double)low), (double)high);
    return !(fabs((double)got - expected) <= e->rounded * (FLT_EPSILON / 2) * 1.01);
}
