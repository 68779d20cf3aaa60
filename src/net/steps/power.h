/* x^p without the mathematics library of the system, whose last digits differ between versions. */
#pragma once

#include "base/base.h"

/* log(x), x positive and normal: x = m 2^e with m from 1 / sqrt(2) to sqrt(2), and log(m) = 2 atanh(s) with
 * s = (m - 1) / (m + 1), at most 0.172. The series of atanh is cut where its terms are below 2^-56. */
static inline double cl_log(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t e = (int32_t)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffff) | (uint64_t)1023 << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) m /= 2, e++;
    const double s = (m - 1) / (m + 1), z = s * s;
    double sum = 0;
    for (int k = 21; k >= 1; k -= 2) sum = sum * z + 1.0 / k;
    return 2 * s * sum + e * 0.69314718055994531;
}

/* exp(x) = 2^n exp(r), r at most ln 2 / 2; by its series. 0 and infinity where a double ends. */
static inline double cl_exp(double x) {
    if (x < -708) return 0;
    if (x > 709) return 1e308 * 10;
    const int32_t n = (int32_t)(x * 1.4426950408889634 + (x < 0 ? -0.5 : 0.5));
    const double r = x - n * 0.69314718055994531;
    double sum = 1;
    for (int k = 14; k >= 1; k--) sum = 1 + sum * r / k;
    const uint64_t bits = (uint64_t)(n + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

/* max(x, 0)^p, p not 0. Numbers below float32's normal ones count as 0. */
static inline double cl_power(double x, double p) {
    if (!(x >= 1.1754943508222875e-38)) return p > 0 ? 0 : 1e308 * 10;
    return cl_exp(p * cl_log(x));
}
