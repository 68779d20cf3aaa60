/* The loops themselves, written over a vector of LANES floats. */
#include <string.h>

#include "kernels/vector.h"
#include "pca/kernels/eigen.h"
#include "pca/kernels/kernels.h"

/* A tile of ROWS x COLUMNS running sums, held in registers together with COLUMNS of the loads. Each
 * step loads ROWS + COLUMNS registers for ROWS * COLUMNS multiply-adds, and that many independent sums
 * also hide the latency of a multiply-add (4 cycles at 2 a cycle). */
#define COLUMNS 4                 /* as many as add_sums takes */
#if REGISTERS == 32 && LANES == 4 /* gcc 12 loads ahead and spills 24 sums */
#define ROWS 5
#elif REGISTERS == 32
#define ROWS 6
#else
#define ROWS 3
#endif

/* Terms that are summed in float before the sum is taken over in double. The error of the sum grows with their
 * number; half as many cost up to 6 % of the speed. */
#define TERMS 64

#include "pca/kernels/slabs.h"

/* out[j] += factor * (the lanes of sums[j] added up in float), for the first n of COLUMNS. All at once, as one sum
 * after the other takes a fifth of the time of the whole product. */
CL_INLINE void add_sums(const vf *sums, int64_t n, double factor, double *out) {
    float lanes[COLUMNS];
#if defined(__AVX2__)
#if defined(__AVX512F__)
    __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(sums[0], sums[1], 0x44),
                              _mm512_shuffle_f32x4(sums[0], sums[1], 0xee));
    __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(sums[2], sums[3], 0x44),
                              _mm512_shuffle_f32x4(sums[2], sums[3], 0xee));
    __m512 four = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    __m512 two = _mm512_add_ps(four, _mm512_permute_ps(four, 0x4e));
    __m512 one = _mm512_add_ps(two, _mm512_permute_ps(two, 0xb1));
    __m128 totals = _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, one));
#else
    __m256 one = _mm256_hadd_ps(_mm256_hadd_ps(sums[0], sums[1]), _mm256_hadd_ps(sums[2], sums[3]));
    __m128 totals = _mm_add_ps(_mm256_castps256_ps128(one), _mm256_extractf128_ps(one, 1));
#endif
    if (n >= COLUMNS) {
        _mm256_storeu_pd(out, _mm256_fmadd_pd(_mm256_cvtps_pd(totals), _mm256_set1_pd(factor), _mm256_loadu_pd(out)));
        return;
    }
    _mm_storeu_ps(lanes, totals);
    for (int64_t j = 0; j < n; j++) out[j] = __builtin_fma((double)lanes[j], factor, out[j]);
#else
    for (int j = 0; j < COLUMNS; j++) lanes[j] = (sums[j][0] + sums[j][2]) + (sums[j][1] + sums[j][3]);
    for (int64_t j = 0; j < n && j < COLUMNS; j++) out[j] += factor * (double)lanes[j];
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
    /* The columns of the tile after this one are fetched meanwhile: on the first pass they come from memory. Not with
     * eight lanes: each line would be fetched twice, and that took a third of the time of the whole product. */
    const int64_t ahead = n >= 2 * COLUMNS ? COLUMNS * b_stride : 0;
    CL_UNROLL
    for (int i = 0; i < ROWS; i++) CL_UNROLL
    for (int j = 0; j < COLUMNS; j++) sums[i][j] = vf_zero();
    int64_t whole = k - k % LANES;
    for (int64_t t = 0; t < whole; t += LANES) {
        vf right[COLUMNS];
        CL_UNROLL
        for (int j = 0; j < COLUMNS; j++) {
            right[j] = vf_load(columns[j] + t);
            if (LANES != 8) __builtin_prefetch(columns[j] + t + ahead);
        }
        CL_UNROLL
        for (int i = 0; i < ROWS; i++) {
            vf left = vf_load(rows[i] + t);
            CL_UNROLL
            for (int j = 0; j < COLUMNS; j++) sums[i][j] = vf_fma(left, right[j], sums[i][j]);
        }
    }
    if (k % LANES) {
        vf right[COLUMNS];
        CL_UNROLL
        for (int j = 0; j < COLUMNS; j++) right[j] = load_rest(columns[j] + whole, k % LANES);
        CL_UNROLL
        for (int i = 0; i < ROWS; i++) {
            vf left = load_rest(rows[i] + whole, k % LANES);
            CL_UNROLL
            for (int j = 0; j < COLUMNS; j++) sums[i][j] = vf_fma(left, right[j], sums[i][j]);
        }
    }
    CL_UNROLL
    for (int i = 0; i < ROWS; i++)
        if (i < m) add_sums(sums[i], n, factor, out + i * out_stride);
}

static void KERNEL(dot)(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_stride, const float *b,
                        int64_t b_stride, double factor, double *out, int64_t out_stride) {
    /* The wider side of the tile stays in the first-level cache while the other streams past. */
    for (int64_t i = 0; i < m; i += ROWS)
        for (int64_t j = 0; j < n; j += COLUMNS)
            for (int64_t t = 0; t < k; t += TERMS * LANES)
                dot_tile(m - i, n - j, k - t < TERMS * LANES ? k - t : TERMS * LANES, a + i * a_stride + t, a_stride,
                         b + j * b_stride + t, b_stride, factor, out + i * out_stride + j, out_stride);
}

/* A tile of HEIGHT x ACROSS registers of sums, as in the eigenproblem's multiply_tile; rows past m repeat the last. */
CL_INLINE void combine_tile(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_stride, const float *b,
                            int64_t b_stride, double *out, int64_t out_stride) {
    const float *rows[HEIGHT];
    vf sums[HEIGHT][ACROSS];
    CL_UNROLL
    for (int i = 0; i < HEIGHT; i++) rows[i] = a + (i < m ? i : m - 1) * a_stride;
    CL_UNROLL
    for (int i = 0; i < HEIGHT; i++) CL_UNROLL
    for (int j = 0; j < ACROSS; j++) sums[i][j] = vf_zero();
    for (int64_t t = 0; t < k; t++, b += b_stride) {
        vf right[ACROSS];
        CL_UNROLL
        for (int j = 0; j < ACROSS; j++) right[j] = vf_load(b + j * LANES);
        CL_UNROLL
        for (int i = 0; i < HEIGHT; i++) {
            vf left = vf_set1(rows[i][t]);
            CL_UNROLL
            for (int j = 0; j < ACROSS; j++) sums[i][j] = vf_fma(left, right[j], sums[i][j]);
        }
    }
    CL_UNROLL
    for (int i = 0; i < HEIGHT; i++) {
        float row[ACROSS * LANES];
        if (i >= m) continue;
        CL_UNROLL
        for (int j = 0; j < ACROSS; j++) vf_store(row + j * LANES, sums[i][j]);
        if (n >= ACROSS * LANES)
            for (int j = 0; j < ACROSS * LANES; j++) out[i * out_stride + j] += (double)row[j];
        else
            for (int64_t j = 0; j < n; j++) out[i * out_stride + j] += (double)row[j];
    }
}

static void KERNEL(combine)(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_stride, const float *b,
                            int64_t b_stride, double *out, int64_t out_stride) {
    for (int64_t j = 0; j < n; j += ACROSS * LANES)
        for (int64_t t = 0; t < k; t += TERMS)
            for (int64_t i = 0; i < m; i += HEIGHT)
                combine_tile(m - i, n - j, k - t < TERMS ? k - t : TERMS, a + i * a_stride + t, a_stride,
                             b + t * b_stride + j, b_stride, out + i * out_stride + j, out_stride);
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

static void KERNEL(centre_transposed)(int64_t rows, int64_t cols, const float *x, int64_t x_stride, const double *mean,
                                      double scale, float *out, int64_t out_stride) {
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
const cl_pca_kernels KERNEL(cl_pca_kernels) = {
    .dot = KERNEL(dot),
    .combine = KERNEL(combine),
    .column_stats = KERNEL(column_stats),
    .centre = KERNEL(centre),
    .centre_transposed = KERNEL(centre_transposed),
    .centre_slab = KERNEL(centre_slab),
    .slab_products = KERNEL(slab_products),
    .slab_squares = KERNEL(slab_squares),
    .multiply = KERNEL(multiply),
    .row_dot = KERNEL(row_dot),
    .row_add = KERNEL(row_add),
    .reflector = KERNEL(reflector),
    .chase = KERNEL(chase),
    .reflect = KERNEL(reflect),
};
