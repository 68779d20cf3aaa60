/* The loops of the eigenproblem, written over a vector of DOUBLES doubles. */
#include <math.h>
#include <string.h>

#include "kernels/vector.h"
#include "pca/kernels/kernels.h"

/* A tile of HEIGHT rows by ACROSS registers of running sums, with ACROSS loads and one broadcast beside them. */
#if REGISTERS == 32
#define HEIGHT 6
#define ACROSS 4
#else
#define HEIGHT 5
#define ACROSS 2
#endif
#define PARTS (CL_PANEL / DOUBLES) /* registers in a row of a panel */

/* One tile; rows past m repeat the last one. */
CL_INLINE void multiply_tile(int64_t m, int64_t k, const double *a, int64_t a_row, int64_t a_step, const double *b,
                             double *c, int64_t c_stride, int64_t width) {
    const double *rows[HEIGHT];
    vd sums[HEIGHT][ACROSS];
    CL_UNROLL
    for (int i = 0; i < HEIGHT; i++) rows[i] = a + (i < m ? i : m - 1) * a_row;
    CL_UNROLL
    for (int i = 0; i < HEIGHT; i++) CL_UNROLL
    for (int j = 0; j < ACROSS; j++) {
        sums[i][j] = vd_zero();
        __builtin_prefetch(c + (i < m ? i : m - 1) * c_stride + j * DOUBLES);
    }
    for (int64_t t = 0; t < k; t++, b += CL_PANEL) {
        vd right[ACROSS];
        CL_UNROLL
        for (int j = 0; j < ACROSS; j++) right[j] = vd_load(b + j * DOUBLES);
        CL_UNROLL
        for (int i = 0; i < HEIGHT; i++) {
            vd left = vd_set1(rows[i][t * a_step]);
            CL_UNROLL
            for (int j = 0; j < ACROSS; j++) sums[i][j] = vd_fma(left, right[j], sums[i][j]);
        }
    }
    const vd one = vd_set1(1);
    CL_UNROLL
    for (int i = 0; i < HEIGHT; i++) {
        double *row = c + i * c_stride;
        if (i >= m) continue;
        if (width >= ACROSS * DOUBLES) {
            CL_UNROLL
            for (int j = 0; j < ACROSS; j++)
                vd_store(row + j * DOUBLES, vd_fma(sums[i][j], one, vd_load(row + j * DOUBLES)));
        } else {
            double rest[ACROSS * DOUBLES];
            CL_UNROLL
            for (int j = 0; j < ACROSS; j++) vd_store(rest + j * DOUBLES, sums[i][j]);
            for (int64_t j = 0; j < width; j++) row[j] += rest[j];
        }
    }
}

static void KERNEL(multiply)(int64_t m, int64_t width, int64_t k, const double *a, int64_t a_row, int64_t a_step,
                             const double *b, double *c, int64_t c_stride) {
    for (int64_t i = 0; i < m; i += HEIGHT)
        for (int64_t j = 0; j < width; j += ACROSS * DOUBLES)
            multiply_tile(m - i, k, a + i * a_row, a_row, a_step, b + j, c + i * c_stride + j, c_stride, width - j);
}

/* The lanes added up, halves upon halves. */
CL_INLINE double add_lanes(vd v) {
#if defined(__AVX512F__)
    __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1));
#elif defined(__AVX2__)
    __m256d four = v;
#endif
#if defined(__AVX2__)
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
#else
    return v[0] + v[1];
#endif
}

static double KERNEL(row_dot)(int64_t n, const double *x, const double *y) {
    enum { CHAINS = 4, STEP = CHAINS * DOUBLES };
    vd sums[CHAINS];
    CL_UNROLL
    for (int i = 0; i < CHAINS; i++) sums[i] = vd_zero();
    int64_t whole = n - n % STEP;
    for (int64_t t = 0; t < whole; t += STEP) CL_UNROLL
    for (int i = 0; i < CHAINS; i++)
        sums[i] = vd_fma(vd_load(x + t + i * DOUBLES), vd_load(y + t + i * DOUBLES), sums[i]);
    double sum = 0;
    for (int64_t t = whole; t < n; t++) sum += x[t] * y[t];
    CL_UNROLL
    for (int i = 0; i < CHAINS; i++) sum += add_lanes(sums[i]);
    return sum;
}

static void KERNEL(row_add)(int64_t n, double factor, const double *x, double *y) {
    const vd factors = vd_set1(factor);
    int64_t whole = n - n % DOUBLES;
    for (int64_t t = 0; t < whole; t += DOUBLES) vd_store(y + t, vd_fma(factors, vd_load(x + t), vd_load(y + t)));
    for (int64_t t = whole; t < n; t++) y[t] += factor * x[t];
}

static double KERNEL(reflector)(double *x, double *beta) {
    const double first = x[0];
    x[0] = 0;
    double square = KERNEL(row_dot)(CL_PANEL, x, x), tau = 0;
    if (square > CL_VANISHED) {
        double length = sqrt(first * first + square);
        *beta = first > 0 ? -length : length; /* so that first - beta does not cancel out */
        tau = (*beta - first) / *beta;
        const double factor = 1 / (first - *beta);
        for (int i = 1; i < CL_PANEL; i++) x[i] *= factor;
    } else {
        *beta = first;
        memset(x, 0, CL_PANEL * sizeof *x);
    }
    x[0] = 1;
    return tau;
}

/* out = the columns of the block times the numbers of v, added up. */
CL_INLINE void block_times(const double *block, const double *v, double *out) {
    vd sums[PARTS];
    CL_UNROLL
    for (int p = 0; p < PARTS; p++) sums[p] = vd_zero();
    for (int c = 0; c < CL_PANEL; c++) {
        const vd factor = vd_set1(v[c]);
        CL_UNROLL
        for (int p = 0; p < PARTS; p++)
            sums[p] = vd_fma(factor, vd_load(block + c * CL_BAND_STRIDE + p * DOUBLES), sums[p]);
    }
    CL_UNROLL
    for (int p = 0; p < PARTS; p++) vd_store(out + p * DOUBLES, sums[p]);
}

/* block += x y^T + r s^T */
CL_INLINE void block_add(double *block, const double *x, const double *y, const double *r, const double *s) {
    for (int c = 0; c < CL_PANEL; c++) {
        const vd first = vd_set1(y[c]), second = vd_set1(s[c]);
        double *column = block + c * CL_BAND_STRIDE;
        CL_UNROLL
        for (int p = 0; p < PARTS; p++) {
            vd sum = vd_fma(vd_load(x + p * DOUBLES), first, vd_load(column + p * DOUBLES));
            vd_store(column + p * DOUBLES, vd_fma(vd_load(r + p * DOUBLES), second, sum));
        }
    }
}

static double KERNEL(chase)(double *d, const double *v, double tau, double *next) {
    double w[CL_PANEL], minus_v[CL_PANEL], u[CL_PANEL], z[CL_PANEL], minus_g[CL_PANEL], beta;
    double *b = d + CL_PANEL;
    for (int c = 0; c < CL_PANEL - 1; c++)
        d[(CL_PANEL - 1) * CL_BAND_STRIDE + c] = d[c * CL_BAND_STRIDE + CL_PANEL - 1];

    /* D := D - v w^T - w v^T, where w = tau D v - tau^2 / 2 (v . D v) v */
    block_times(d, v, w);
    double half = tau * tau * KERNEL(row_dot)(CL_PANEL, w, v) / 2;
    for (int i = 0; i < CL_PANEL; i++) {
        w[i] = half * v[i] - tau * w[i]; /* minus w from here on */
        minus_v[i] = -v[i];
    }
    for (int i = 0; i < CL_PANEL; i++) z[i] = -w[i];
    block_add(d, minus_v, z, w, v);

    /* B := B - u v^T - g z^T, where u = tau B v, and z = tau_g (B - u v^T)^T g */
    block_times(b, v, u);
    for (int i = 0; i < CL_PANEL; i++) {
        u[i] *= -tau; /* minus u from here on */
        next[i] = b[i] + u[i] * v[0];
    }
    double next_tau = KERNEL(reflector)(next, &beta);
    double along = KERNEL(row_dot)(CL_PANEL, next, u);
    for (int c = 0; c < CL_PANEL; c++) {
        vd sum = vd_zero();
        CL_UNROLL
        for (int p = 0; p < PARTS; p++)
            sum = vd_fma(vd_load(next + p * DOUBLES), vd_load(b + c * CL_BAND_STRIDE + p * DOUBLES), sum);
        z[c] = add_lanes(sum);
    }
    for (int i = 0; i < CL_PANEL; i++) {
        z[i] = next_tau * (z[i] + along * v[i]);
        minus_g[i] = -next[i];
    }
    block_add(b, u, v, minus_g, z);
    b[0] = beta;
    for (int i = 1; i < CL_PANEL; i++) b[i] = 0;
    return next_tau;
}

static void KERNEL(reflect)(int64_t rows, const double *v, double *z) {
    vd sums[PARTS];
    CL_UNROLL
    for (int p = 0; p < PARTS; p++) sums[p] = vd_load(z + p * DOUBLES);
    for (int64_t i = 1; i < rows; i++) {
        const vd factor = vd_set1(v[i]);
        CL_UNROLL
        for (int p = 0; p < PARTS; p++) sums[p] = vd_fma(factor, vd_load(z + i * CL_PANEL + p * DOUBLES), sums[p]);
    }
    const vd minus_tau = vd_set1(-v[0]), one = vd_set1(1);
    CL_UNROLL
    for (int p = 0; p < PARTS; p++) {
        sums[p] = vd_fma(minus_tau, sums[p], vd_zero());
        vd_store(z + p * DOUBLES, vd_fma(one, sums[p], vd_load(z + p * DOUBLES)));
    }
    for (int64_t i = 1; i < rows; i++) {
        const vd factor = vd_set1(v[i]);
        CL_UNROLL
        for (int p = 0; p < PARTS; p++) {
            double *place = z + i * CL_PANEL + p * DOUBLES;
            vd_store(place, vd_fma(factor, sums[p], vd_load(place)));
        }
    }
}
