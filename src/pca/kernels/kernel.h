/* The loops themselves, written over a vector of LANES floats. */
#include <string.h>

#include "kernels/vector.h"
#include "pca/kernels/kernels.h"

/* A tile of ROWS x COLUMNS running sums, held in registers together with ROWS of the loads. Each
 * step loads ROWS + COLUMNS registers for ROWS * COLUMNS multiply-adds, and that many independent sums
 * also hide the latency of a multiply-add (4 cycles at 2 a cycle). */
#if REGISTERS == 32 && LANES == 4 /* gcc 12 loads ahead and spills 24 sums */
#define ROWS 4
#define COLUMNS 5
#elif REGISTERS == 32
#define ROWS 4
#define COLUMNS 6
#else
#define ROWS 3
#define COLUMNS 4
#endif

/* Terms that are summed in float before the sum is taken over in double. The error of the sum grows with their
 * number; half as many cost up to 6 % of the speed. */
#define TERMS 64

/* The lanes of v summed in double, halves upon halves. */
CL_INLINE double sum_lanes(vf v) {
#if defined(__AVX512F__)
    __m512d eight = _mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(v)),
                                  _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
    __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
#elif defined(__AVX2__)
    __m256d four = _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(v)),
                                 _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
#endif
#if defined(__AVX2__)
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(two) + _mm_cvtsd_f64(_mm_unpackhi_pd(two, two));
#else
    return ((double)v[0] + (double)v[2]) + ((double)v[1] + (double)v[3]);
#endif
}

/* The last k % LANES floats of a row, filled up with zeros. */
CL_INLINE vf load_rest(const float *p, int64_t count) {
    float rest[LANES] = {0};
    memcpy(rest, p, (size_t)count * sizeof *p);
    return vf_load(rest);
}

/* One tile; rows past m and n repeat the last one and are not stored. Unless its loops are unrolled early, the
 * compiler keeps the sums in memory. */
CL_INLINE void dot_tile(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_stride, const float *b,
                        int64_t b_stride, double factor, double *out, int64_t out_stride) {
    const float *rows[ROWS], *columns[COLUMNS];
    vf sums[ROWS][COLUMNS];
    CL_UNROLL
    for (int i = 0; i < ROWS; i++) rows[i] = a + (i < m ? i : m - 1) * a_stride;
    CL_UNROLL
    for (int j = 0; j < COLUMNS; j++) columns[j] = b + (j < n ? j : n - 1) * b_stride;
    CL_UNROLL
    for (int i = 0; i < ROWS; i++)
        CL_UNROLL
        for (int j = 0; j < COLUMNS; j++) sums[i][j] = vf_zero();
    int64_t whole = k - k % LANES;
    for (int64_t t = 0; t < whole; t += LANES) {
        vf left[ROWS];
        CL_UNROLL
        for (int i = 0; i < ROWS; i++) left[i] = vf_load(rows[i] + t);
        CL_UNROLL
        for (int j = 0; j < COLUMNS; j++) {
            vf right = vf_load(columns[j] + t);
            CL_UNROLL
            for (int i = 0; i < ROWS; i++) sums[i][j] = vf_fma(left[i], right, sums[i][j]);
        }
    }
    if (k % LANES) {
        vf left[ROWS];
        CL_UNROLL
        for (int i = 0; i < ROWS; i++) left[i] = load_rest(rows[i] + whole, k % LANES);
        CL_UNROLL
        for (int j = 0; j < COLUMNS; j++) {
            vf right = load_rest(columns[j] + whole, k % LANES);
            CL_UNROLL
            for (int i = 0; i < ROWS; i++) sums[i][j] = vf_fma(left[i], right, sums[i][j]);
        }
    }
    CL_UNROLL
    for (int i = 0; i < ROWS; i++)
        CL_UNROLL
        for (int j = 0; j < COLUMNS; j++)
            if (i < m && j < n) out[i * out_stride + j] += factor * sum_lanes(sums[i][j]);
}

static void KERNEL(dot)(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_stride, const float *b,
                        int64_t b_stride, double factor, double *out, int64_t out_stride) {
    /* The wider side of the tile stays in the first-level cache while the other streams past. */
    for (int64_t j = 0; j < n; j += COLUMNS)
        for (int64_t i = 0; i < m; i += ROWS)
            for (int64_t t = 0; t < k; t += TERMS * LANES)
                dot_tile(m - i, n - j, k - t < TERMS * LANES ? k - t : TERMS * LANES, a + i * a_stride + t, a_stride,
                         b + j * b_stride + t, b_stride, factor, out + i * out_stride + j, out_stride);
}

static void KERNEL(column_stats)(int64_t rows, int64_t cols, const float *restrict x, int64_t x_stride,
                                 double *restrict sum, float *restrict low, float *restrict high) {
    for (int64_t r = 0; r < rows; r++, x += x_stride) {
        for (int64_t c = 0; c < cols; c++) {
            sum[c] += (double)x[c];
            low[c] = x[c] < low[c] ? x[c] : low[c];
            high[c] = x[c] > high[c] ? x[c] : high[c];
        }
    }
}

static void KERNEL(centre)(int64_t rows, int64_t cols, const float *restrict x, int64_t x_stride,
                           const double *restrict mean, double scale, float *restrict out, int64_t out_stride) {
    for (int64_t r = 0; r < rows; r++, x += x_stride, out += out_stride)
        for (int64_t c = 0; c < cols; c++) out[c] = (float)(((double)x[c] - mean[c]) * scale);
}

static void KERNEL(centre_transposed)(int64_t rows, int64_t cols, const float *x, int64_t x_stride,
                                      const double *mean, double scale, float *out, int64_t out_stride) {
    enum { SIDE = 16 }; /* floats in a cache line: each line of `out` is written at one go */
    for (int64_t c = 0; c < cols; c += SIDE) {
        int64_t width = cols - c < SIDE ? cols - c : SIDE;
        for (int64_t r = 0; r < rows; r += SIDE) {
            int64_t height = rows - r < SIDE ? rows - r : SIDE;
            float tile[SIDE * SIDE];
            float *to = out + c * out_stride + r;
            KERNEL(centre)(height, width, x + r * x_stride + c, x_stride, mean + c, scale, tile, SIDE);
            if (width == SIDE && height == SIDE)
                for (int i = 0; i < SIDE; i++)
                    for (int j = 0; j < SIDE; j++) to[i * out_stride + j] = tile[j * SIDE + i];
            else
                for (int64_t i = 0; i < width; i++)
                    for (int64_t j = 0; j < height; j++) to[i * out_stride + j] = tile[j * SIDE + i];
        }
    }
}

extern const cl_pca_kernels KERNEL(cl_pca_kernels);
const cl_pca_kernels KERNEL(cl_pca_kernels) = {KERNEL(dot), KERNEL(column_stats), KERNEL(centre),
                                               KERNEL(centre_transposed)};
