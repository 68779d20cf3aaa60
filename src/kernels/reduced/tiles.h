/* The product in tiles of AMX: 16 rows of 16 units or sums each. The including file gives what a tile does, so that
 * the same code runs on AMX and, in the tests, on an emulation; tiles are numbered by constants:
 *
 *   tiles_configure(upper, lower)   rows in tiles 0, 1, 4 and in 2, 3, 5; 6 and 7 have 16
 *   tiles_release()                 nothing is kept in tiles any more
 *   tile_zero(t)
 *   tile_load(t, from, stride)      rows `stride` bytes apart
 *   tile_store(t, to, stride)
 *   tile_dot_bf16(c, a, b)          c plus the products of pairs: a by rows, b by columns
 *   tile_dot_int8(c, a, b)          the same of four bytes, a's without a sign */
#include <stdbool.h>

#include "kernels/reduced/common.h"

/* Rows of a tile, and units of a row. */
#define TILE 16

/* LANES sums as float32. */
CL_INLINE vf sums_from(const uint32_t *sums, const bool bytes) {
    float values[LANES];
    memcpy(values, sums, sizeof values);
    for (int i = 0; bytes && i < LANES; i++) {
        int32_t sum;
        memcpy(&sum, sums + i, sizeof sum);
        values[i] = (float)sum;
    }
    return vf_load(values);
}

CL_INLINE void finish_tile(const block *s, int64_t row, int64_t rows, int64_t column, const uint32_t *sums,
                           const bool bytes) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < TILE; j += LANES)
            finish(s, row + i, column + j, sums_from(sums + i * TILE + j, bytes), bytes);
}

/* Sums of `upper` and, with `two_rows`, `lower` rows from `row` on and of one or two panels from `column` on. */
CL_INLINE void tiles(const block *s, int64_t row, int64_t upper, int64_t lower, int64_t column, const bool two_rows,
                     const bool two_columns, const bool bytes) {
    const uint32_t *a = s->a + row * s->stride, *b = s->b + column * s->units;
    tile_zero(0);
    if (two_columns) tile_zero(1);
    if (two_rows) tile_zero(2);
    if (two_rows && two_columns) tile_zero(3);
    for (int64_t u = 0; u < s->units; u += TILE) {
        tile_load(4, a + u, s->stride * 4);
        tile_load(6, b + u * TILE, TILE * 4);
        if (two_rows) tile_load(5, a + TILE * s->stride + u, s->stride * 4);
        if (two_columns) tile_load(7, b + (s->units + u) * TILE, TILE * 4);
        if (bytes) {
            tile_dot_int8(0, 4, 6);
            if (two_columns) tile_dot_int8(1, 4, 7);
            if (two_rows) tile_dot_int8(2, 5, 6);
            if (two_rows && two_columns) tile_dot_int8(3, 5, 7);
        } else {
            tile_dot_bf16(0, 4, 6);
            if (two_columns) tile_dot_bf16(1, 4, 7);
            if (two_rows) tile_dot_bf16(2, 5, 6);
            if (two_rows && two_columns) tile_dot_bf16(3, 5, 7);
        }
    }
    uint32_t sums[TILE * TILE] __attribute__((aligned(64)));
    tile_store(0, sums, TILE * 4);
    finish_tile(s, row, upper, column, sums, bytes);
    if (two_columns) {
        tile_store(1, sums, TILE * 4);
        finish_tile(s, row, upper, column + TILE, sums, bytes);
    }
    if (two_rows) {
        tile_store(2, sums, TILE * 4);
        finish_tile(s, row + TILE, lower, column, sums, bytes);
    }
    if (two_rows && two_columns) {
        tile_store(3, sums, TILE * 4);
        finish_tile(s, row + TILE, lower, column + TILE, sums, bytes);
    }
}

CL_INLINE void multiply(const block *s, const bool bytes) {
    const int64_t n = cl_reduced_padded(s->g->columns);
    for (int64_t row = 0; row < s->rows; row += 2 * TILE) {
        const int64_t left = s->rows - row, upper = left < TILE ? left : TILE;
        const int64_t lower = left < 2 * TILE ? left - upper : TILE;
        tiles_configure((uint8_t)upper, (uint8_t)lower);
        for (int64_t column = 0; column < n; column += 2 * TILE) {
            const bool two = column + TILE < n;
            if (lower > 0 && two) tiles(s, row, upper, lower, column, true, true, bytes);
            else if (lower > 0) tiles(s, row, upper, lower, column, true, false, bytes);
            else if (two) tiles(s, row, upper, lower, column, false, true, bytes);
            else tiles(s, row, upper, lower, column, false, false, bytes);
        }
    }
    tiles_release();
}

static void multiply_bf16(const block *s) { multiply(s, false); }
static void multiply_int8(const block *s) { multiply(s, true); }
