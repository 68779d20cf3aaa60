/* Rounding rows of A, and what becomes of a sum: all of a product but its sums. Included only by kernels. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "kernels/reduced/reduced.h"
#include "kernels/vector.h"

/* Numbers that are rounded at a time: a register of the widest kind. */
#define CHUNK 16

/* Below this range a row's numbers count as equal: its scale, and 1 by it, are ordinary numbers above. */
#define RANGE_MIN 0x1p-100f

/* A block of rows of A, rounded, and the parts of a packed B. */
typedef struct block {
    const cl_gemm *g;
    int64_t first, rows;   /* which of A */
    int64_t units, stride; /* of a row, and from one to the next */
    uint32_t *a;
    float *scale, *low; /* of each row; bytes only */
    const uint32_t *b;
    const float *column_scale, *column_sum; /* bytes only */
} block;

/* `count` numbers of a row, with `fill` up to a chunk behind them when there are fewer. */
CL_INLINE const float *chunk_of(const float *a, int64_t count, float fill, float copy[CHUNK]) {
    if (count >= CHUNK) return a;
    for (int64_t i = 0; i < CHUNK; i++) copy[i] = i < count ? a[i] : fill;
    return copy;
}

/* Row `a` of k numbers as `units` pairs of bfloat16. */
CL_INLINE void round_bf16(const float *a, int64_t k, int64_t units, uint32_t *out) {
    uint16_t *to = (uint16_t *)out;
    float copy[CHUNK];
    for (int64_t i = 0; i < 2 * units; i += CHUNK) {
        const float *from = chunk_of(a + (i < k ? i : 0), k - i, 0.0f, copy);
#if defined(__AVX512BF16__)
        _mm256_storeu_si256((__m256i *)(void *)(to + i), (__m256i)_mm512_cvtneps_pbh(vf_load(from)));
#else
        for (int j = 0; j < CHUNK; j++) to[i + j] = cl_bf16_of(from[j]);
#endif
    }
}

/* Row `a` of k numbers as `units` of four bytes: x is low + scale * byte. */
CL_INLINE void round_int8(const float *a, int64_t k, int64_t units, uint32_t *out, float *scale, float *low) {
    uint8_t *to = (uint8_t *)out;
    float copy[CHUNK], least[LANES], most[LANES];
    vf lows = vf_set1(a[0]), highs = lows;
    for (int64_t i = 0; i < k; i += CHUNK) {
        const float *from = chunk_of(a + i, k - i, a[0], copy);
        for (int j = 0; j < CHUNK; j += LANES) {
            lows = vf_min(lows, vf_load(from + j));
            highs = vf_max(highs, vf_load(from + j));
        }
    }
    vf_store(least, lows);
    vf_store(most, highs);
    for (int j = 1; j < LANES; j++) {
        least[0] = least[j] < least[0] ? least[j] : least[0];
        most[0] = most[j] > most[0] ? most[j] : most[0];
    }
    const float range = most[0] - least[0];
    const vf by = vf_set1(range > RANGE_MIN ? 255.0f / range : 0.0f);
    *scale = range > RANGE_MIN ? range / 255.0f : 0.0f;
    *low = least[0];
    lows = vf_set1(least[0]);
    for (int64_t i = 0; i < 4 * units; i += CHUNK) {
        const float *from = chunk_of(a + (i < k ? i : 0), k - i, least[0], copy);
        for (int j = 0; j < CHUNK; j += LANES) {
            /* Added to 2^23 a number is rounded to the nearest whole one, the even one of two, in its lowest bits. */
            const vf byte = vf_add(vf_mul(vf_sub(vf_load(from + j), lows), by), vf_set1(0x1p23f));
#if LANES == 16
            _mm_storeu_si128((__m128i *)(void *)(to + i), _mm512_cvtepi32_epi8(_mm512_castps_si512(byte)));
#else
            uint32_t bits[LANES];
            memcpy(bits, &byte, sizeof bits);
            for (int l = 0; l < LANES; l++) to[i + j + l] = (uint8_t)bits[l];
#endif
        }
    }
}

/* The sum of a row and 16 columns, LANES of them from `column` on, with what belongs to it; whole numbers are turned
 * into float32 before. No multiply-add here: the portable one rounds twice, and bytes promise the same result. */
CL_INLINE void finish(const block *s, int64_t row, int64_t column, vf value, const int bytes) {
    const cl_gemm *g = s->g;
    if (bytes) {
        value = vf_add(vf_mul(value, vf_set1(s->scale[row])),
                       vf_mul(vf_load(s->column_sum + column), vf_set1(s->low[row])));
        value = vf_mul(value, vf_load(s->column_scale + column));
    }
    row += s->first;
    value = vf_add(value, vf_load(g->bias + column));
    if (g->residual) value = vf_add(value, vf_load(g->residual + row * g->residual_stride + column));
    vf_store(g->c + row * g->c_stride + column, vf_clamp(value, vf_set1(g->low), vf_set1(g->high)));
}

/* Calls `multiply` for every block of rows, rounded. */
CL_INLINE void each_block(const cl_gemm *g, float *scratch, const int bytes, void (*multiply)(const block *)) {
    const int64_t units = cl_reduced_units(g->k, bytes ? 4 : 2), rows = cl_reduced_rows(units);
    const int64_t padded = bytes ? cl_reduced_padded(g->columns) : 0;
    block s = {.g = g,
               .units = units,
               .stride = cl_reduced_row_units(units),
               .a = (uint32_t *)(void *)scratch,
               .b = (const uint32_t *)(const void *)(g->b + 2 * padded),
               .column_scale = g->b,
               .column_sum = g->b + padded};
    s.scale = scratch + rows * s.stride;
    s.low = s.scale + rows;
    for (; s.first < g->m; s.first += rows) {
        s.rows = g->m - s.first < rows ? g->m - s.first : rows;
        for (int64_t r = 0; r < s.rows; r++) {
            const float *a = g->a + (s.first + r) * g->a_stride;
            if (bytes) round_int8(a, g->k, units, s.a + r * s.stride, s.scale + r, s.low + r);
            else round_bf16(a, g->k, units, s.a + r * s.stride);
        }
        multiply(&s);
    }
}
