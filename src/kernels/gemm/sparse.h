/* The product where many numbers of A are zeros, as they are after a ReLU: products with zeros are left out.
 * README.md beside this file has the reasons. */
#pragma once

#include <stdbool.h>

#include "kernels/gemm/panels.h"

/* The registers of B that a tile takes beside each other at most, in up to three panels. */
#if REGISTERS == 32 && LANES > 4
#define SPARSE_VECTORS 8
#else
#define SPARSE_VECTORS 6
#endif
/* The rows of a tile: two, as more of them have more places that are not zero in one of them. Four where B has at
 * most SPARSE_NARROW registers, as two rows were too few sums to hide the latency of a multiply-add; and on NEON. */
#define SPARSE_MR 4
#define SPARSE_NARROW (REGISTERS == 32 && LANES == 4 ? INT64_MAX : WIDE)

/* Numbers of a row of A whose bits are in one word. */
#define WORD 64
/* B goes through the product in steps of whole words of its rows, one word at least: with these bytes of a tile's
 * columns, its numbers of A and its sums a step fits a first-level cache of 32 KiB, where a register of B is found
 * again for each tile. A word of 8 registers of 16 lanes has 32 KiB, of which the rows for zeros stay unread. Sums
 * that are not complete wait in C. */
#define SPARSE_BYTES (24 * 1024)
#define SPARSE_WORDS 4
/* Rows of A that meet a step of B before the next step, so that A and C stay in the second-level cache. */
#define SPARSE_ROWS 256

/* Hides from the compiler where a number comes from. gcc 12 would load each register of B twice, once for each row's
 * multiply-add, and keep more addresses than there are registers: 11 cycles for a row of 48 columns instead of 8. */
#define OPAQUE(x) __asm__("" : "+r"(x))
#if defined(__x86_64__)
#define OPAQUE_VECTOR(v) __asm__("" : "+x"(v))
#else
#define OPAQUE_VECTOR(v) (void)0
#endif

/* A step of the product: the numbers first .. of each row of A, in `words` words, times those rows of B in the panels
 * that begin at `panel` with column `column`. */
typedef struct sparse_step {
    int64_t first, words;
    bool begins, ends; /* the sums */
    int64_t ahead; /* rows of B of the next step that each tile asks for, as no processor foretells which are read */
    int64_t column;
    const float *panel;
} sparse_step;

/* Which numbers of a word of `rows` rows, at a, are not 0 in one of them at least: a bit for each of the `count`. */
CL_INLINE uint64_t bits_of(const float *a, int64_t stride, int64_t rows, int64_t count) {
    uint64_t bits = 0;
    for (int64_t k = 0; k < count; k += LANES) {
        vf any = vf_load(a + k);
        for (int64_t i = 1; i < rows; i++) any = vf_or(any, vf_load(a + i * stride + k));
        bits |= vf_nonzero(any) << k;
    }
    return bits;
}

/* The sums of a tile: whole registers for each row and, where B has a single panel, perhaps half of one. */
typedef struct sparse_sums {
    vf full[SPARSE_MR][SPARSE_VECTORS];
    vh half[SPARSE_MR];
} sparse_sums;

/* Row k of B times a number of each row of A. B is read in three panels of w0, w1 and w2 registers, of which the last
 * may have none, or in one of w0 and half a register: `from` are the panels' rows 0. mr, w0, w1, w2 and half are
 * constants after inlining, so that the sums are registers. */
CL_INLINE void sparse_row(const float *const a[SPARSE_MR], int64_t k, const float *const from[3], sparse_sums *sums,
                          const int mr, const int w0, const int w1, const int w2, const int half) {
    const int full = w0 + w1 + w2;
    const float *const p[3] = {from[0] + k * (w0 * LANES + half * HALF_LANES), from[1] + k * (w1 * LANES),
                               from[2] + k * (w2 * LANES)};
#define B(j)                                                                                                           \
    vf_load((j) < w0 ? p[0] + (j) * LANES : (j) < w0 + w1 ? p[1] + ((j) - w0) * LANES : p[2] + ((j) - w0 - w1) * LANES)
    vf x[SPARSE_MR], b[SPARSE_VECTORS];
    if (full > mr) { /* the numbers of A stay in registers, or those of B: whichever are fewer */
        CL_UNROLL
        for (int i = 0; i < mr; i++) x[i] = vf_set1(a[i][k]);
        CL_UNROLL
        for (int j = 0; j < full; j++) {
            b[j] = B(j);
            OPAQUE_VECTOR(b[j]);
            CL_UNROLL
            for (int i = 0; i < mr; i++) sums->full[i][j] = vf_fma(x[i], b[j], sums->full[i][j]);
        }
    } else {
        CL_UNROLL
        for (int j = 0; j < full; j++) b[j] = B(j);
        CL_UNROLL
        for (int i = 0; i < mr; i++) {
            x[i] = vf_set1(a[i][k]);
            CL_UNROLL
            for (int j = 0; j < full; j++) sums->full[i][j] = vf_fma(x[i], b[j], sums->full[i][j]);
        }
    }
#undef B
    if (!half) return;
    const vh tail = vh_load(p[0] + w0 * LANES);
    CL_UNROLL
    for (int i = 0; i < mr; i++) sums->half[i] = vh_fma(vf_lower(x[i]), tail, sums->half[i]);
}

/* Asks for a row of a panel of B. */
CL_INLINE void ask_for_row(const float *from, const int width) {
    CL_UNROLL
    for (int j = 0; j < width; j += PREFETCH_STEP) __builtin_prefetch(from + j * LANES, 0, 2);
}

/* What a step adds to a tile: to the rows from `row` on, mr of them, of which only `rows` may be there. `ask` is the
 * row of B, counted from the step's first, from which on it asks for the next step's. */
CL_INLINE void sparse_tile(const cl_gemm *g, const sparse_step *s, int64_t row, int64_t rows, int64_t ask,
                           const uint64_t *words, const int mr, const int w0, const int w1, const int w2,
                           const int half) {
    const int full = w0 + w1 + w2;
    const int64_t c_stride = g->c_stride, residual_stride = g->residual_stride; /* as in the dense tile */
    float *c = g->c + row * c_stride + s->column;
    const float *a[SPARSE_MR], *from[3];
    sparse_sums sums;
    CL_UNROLL
    for (int i = 0; i < mr; i++) { /* a row that is not there is the first once more, and not stored */
        const int64_t place = i < rows ? i : 0;
        a[i] = g->a + (row + place) * g->a_stride + s->first;
        const float *const start = s->begins ? g->bias + s->column : c + place * c_stride;
        const bool zero = s->begins && !g->bias;
        CL_UNROLL
        for (int j = 0; j < full; j++) sums.full[i][j] = zero ? vf_zero() : vf_load(start + j * LANES);
        sums.half[i] = !half || zero ? vh_zero() : vh_load(start + full * LANES);
    }
    from[0] = s->panel + s->first * (w0 * LANES + half * HALF_LANES);
    from[1] = s->panel + (g->k * w0 + s->first * w1) * LANES;
    from[2] = s->panel + (g->k * (w0 + w1) + s->first * w2) * LANES;
    CL_UNROLL
    for (int i = 0; i < mr; i++) OPAQUE(a[i]);
    OPAQUE(from[0]);
    if (w1) OPAQUE(from[1]);
    if (w2) OPAQUE(from[2]);
    for (int64_t k = ask; k < ask + s->ahead; k++) {
        ask_for_row(from[0] + k * (w0 * LANES + half * HALF_LANES), w0 + half);
        ask_for_row(from[1] + k * (w1 * LANES), w1);
        ask_for_row(from[2] + k * (w2 * LANES), w2);
    }
    for (int64_t k = 0; k < s->words * WORD; k += WORD)
        for (uint64_t bits = *words++; bits; bits &= bits - 1)
            sparse_row(a, k + __builtin_ctzll(bits), from, &sums, mr, w0, w1, w2, half);
    if (!s->ends) {
        CL_UNROLL
        for (int i = 0; i < mr; i++, c += c_stride) {
            if (i >= rows) return;
            CL_UNROLL
            for (int j = 0; j < full; j++) vf_store(c + j * LANES, sums.full[i][j]);
            if (half) vf_store(c + full * LANES, vf_of_lower(sums.half[i]));
        }
        return;
    }
    const vf low = vf_set1(g->low), high = vf_set1(g->high);
    const float *r = g->residual ? g->residual + row * residual_stride + s->column : NULL;
    CL_UNROLL
    for (int i = 0; i < mr; i++, c += c_stride) {
        if (i >= rows) return;
        CL_UNROLL
        for (int j = 0; j < full + half; j++) {
            /* A sum that is -0 would be +0 with a zero's product added to it, left out or not: here it always is. */
            vf value = vf_add(j < full ? sums.full[i][j] : vf_of_lower(sums.half[i]), vf_zero());
            if (r) value = vf_add(value, vf_load(r + j * LANES));
            vf_store(c + j * LANES, vf_clamp(value, low, high));
        }
        if (r) r += residual_stride;
    }
}

/* A version for each number of rows, width of three panels, and half a register after a single one. */
#if REGISTERS == 32 && LANES > 4
#define SPARSE_TILES(tiles)                                                                                            \
    tiles(2, 3, 3, 0, 0) tiles(2, 3, 2, 0, 0) tiles(2, 3, 3, 2, 0) tiles(2, 3, 2, 2, 0) tiles(2, 2, 2, 0, 0)           \
        tiles(2, 3, 0, 0, 0) tiles(4, 3, 0, 0, 0) tiles(4, 2, 0, 0, 0) tiles(4, 2, 0, 0, 1) tiles(4, 1, 0, 0, 1)
#elif REGISTERS == 32
#define SPARSE_TILES(tiles)                                                                                            \
    tiles(4, 3, 3, 0, 0) tiles(4, 3, 2, 0, 0) tiles(4, 2, 2, 0, 0) tiles(4, 3, 0, 0, 0) tiles(4, 2, 0, 0, 0)
#else
#define SPARSE_TILES(tiles)                                                                                            \
    tiles(2, 2, 2, 2, 0) tiles(2, 2, 2, 1, 0) tiles(2, 2, 2, 0, 0) tiles(2, 2, 1, 0, 0) tiles(4, 3, 0, 0, 0)
#endif

/* The rows first .. last-1, whose bits are at `words`. */
#define TILE_ROWS(mr, w0, w1, w2, half)                                                                                \
    CL_VERSION sparse_##mr##w0##w1##w2##half(const cl_gemm *g, const sparse_step *s, int64_t first, int64_t last,      \
                                             const uint64_t *words) {                                                  \
        for (int64_t row = first, ask = s->words * WORD; row < last; row += mr, words += s->words, ask += s->ahead)    \
            sparse_tile(g, s, row, last - row, ask, words, mr, w0, w1, w2, half);                                      \
    }
SPARSE_TILES(TILE_ROWS)
#undef TILE_ROWS

/* The widths of the panels that a tile takes when `left` of B's registers remain; returns their sum. */
CL_INLINE int64_t sparse_vectors(int64_t n, int64_t left, int64_t width[3]) {
    /* All that fit, but not so many that a few remain by themselves, whose sums would not hide the latency. */
    const int64_t most = left <= SPARSE_VECTORS ? SPARSE_VECTORS : left < 10 && NV == 2 ? 4 : 6;
    int64_t sum = 0;
    width[0] = width[1] = width[2] = 0;
    for (int p = 0; p < 3 && sum < left; p++) {
        const int64_t next = is_wide(n) ? WIDE : panel_vectors(left - sum);
        if (sum + next > most) break;
        sum += width[p] = next;
    }
    return sum;
}

/* With fewer columns, finding the zeros takes about what they save. */
#define SPARSE_COLUMNS_MIN 24

/* Whether the product is made so: always or never for the same A x B, whatever the numbers of A and its rows, as it
 * may take the sign of a zero. Half a vector at the end of several panels is left to the dense product, for fewer
 * kinds of tiles. */
CL_INLINE bool is_sparse(const cl_gemm *g) {
    const int64_t n = padded_columns(g->columns);
    return g->zeros && g->runs <= 1 && g->k % LANES == 0 && g->columns >= SPARSE_COLUMNS_MIN &&
           (n <= NV * LANES || !half_used(n, g->columns));
}

/* All columns of the rows first .. last-1, of the step *s. */
CL_INLINE void sparse_columns(const cl_gemm *g, sparse_step *s, int64_t first, int64_t last, int64_t mr,
                              const uint64_t *words) {
    const int64_t n = padded_columns(g->columns);
    const int half = half_used(n, g->columns);
    s->panel = g->b;
    for (s->column = 0; s->column < n;) {
        int64_t w[3];
        const int64_t vectors = sparse_vectors(n, (n - s->column) / LANES, w);
        switch ((((mr * 10 + w[0] - half) * 10 + w[1]) * 10 + w[2]) * 10 + half) {
#define TILE_CASE(rows, w0, w1, w2, halves)                                                                            \
    case rows##w0##w1##w2##halves: sparse_##rows##w0##w1##w2##halves(g, s, first, last, words); break;
            SPARSE_TILES(TILE_CASE)
#undef TILE_CASE
        default: break;
        }
        s->panel += g->k * vectors * LANES;
        s->column += vectors * LANES;
    }
}

CL_VERSION sparse_gemm(const cl_gemm *g) {
    const int64_t vectors = padded_columns(g->columns) / LANES, mr = vectors <= SPARSE_NARROW ? SPARSE_MR : 2;
    const int64_t widest = vectors < SPARSE_VECTORS ? vectors : SPARSE_VECTORS;
    int64_t most = SPARSE_BYTES / (WORD * widest * LANES * (int64_t)sizeof(float));
    if (most < 1) most = 1;
    if (most > SPARSE_WORDS) most = SPARSE_WORDS;
    const int64_t blocks = (g->m + SPARSE_ROWS - 1) / SPARSE_ROWS;
    const int64_t block = ((g->m + blocks - 1) / blocks + SPARSE_MR - 1) / SPARSE_MR * SPARSE_MR;
    uint64_t words[SPARSE_ROWS / 2 * SPARSE_WORDS];
    for (int64_t first = 0, last; first < g->m; first = last) {
        last = first + block < g->m ? first + block : g->m;
        for (int64_t k = 0, end; k < g->k; k = end) {
            end = k + most * WORD < g->k ? k + most * WORD : g->k;
            sparse_step s = {.first = k, .words = (end - k + WORD - 1) / WORD, .begins = k == 0, .ends = end == g->k};
            s.ahead = s.ends ? 0 : (most * WORD * mr + last - first - 1) / (last - first);
            uint64_t *out = words;
            for (int64_t row = first; row < last; row += mr)
                for (int64_t word = k; word < end; word += WORD)
                    *out++ = bits_of(g->a + row * g->a_stride + word, g->a_stride, last - row < mr ? last - row : mr,
                                     end - word < WORD ? end - word : WORD);
            sparse_columns(g, &s, first, last, mr, words);
        }
    }
}
