/* The weighted sum of rows, written once. An instruction set defines before including it:
 *
 *   VECTOR          LANES 32-bit sums in one register
 *   LANES           a divisor of CL_RESIZE_GROUP
 *   WIDEN(p)        LANES bytes at p, as 32-bit numbers
 *   SPREAD(k)       the 32-bit number k in every lane
 *   MULTIPLY_ADD(s, a, b)   s + a * b, modulo 2^32
 *   LOAD(p), STORE(p, v)    LANES 32-bit numbers in memory, not aligned
 *   NARROW(p, v)    v shifted right by CL_RESIZE_BITS, clipped to 0..255, to LANES bytes at p
 *   KERNEL          the function's name
 */
#include "kernels/resize/resize.h"

/* 16 pixels of 3 bytes: the row length of the horizontal pass. */
#define WIDE_BLOCK (3 * CL_RESIZE_GROUP)

/* Sums `width` columns (a constant where this is inlined), all in registers. */
static inline __attribute__((always_inline)) void sum_columns(const cl_resize_sum *s, size_t column, size_t width) {
    VECTOR sums[WIDE_BLOCK / LANES];
    for (size_t v = 0; v < width / LANES; v++) {
        /* One half, so that the shift at the end rounds. */
        sums[v] = s->begin ? SPREAD(1 << (CL_RESIZE_BITS - 1)) : LOAD(s->partial + column + v * LANES);
    }
    const uint8_t *row = s->rows + column;
    for (int64_t t = 0; t < s->taps; t++, row += s->stride) {
        VECTOR weight = SPREAD(s->weights[t]);
        for (size_t v = 0; v < width / LANES; v++) sums[v] = MULTIPLY_ADD(sums[v], WIDEN(row + v * LANES), weight);
    }
    for (size_t v = 0; v < width / LANES; v++)
        if (s->end) NARROW(s->out + column + v * LANES, sums[v]);
        else STORE(s->partial + column + v * LANES, sums[v]);
}

void KERNEL(const cl_resize_sum *sum);
void KERNEL(const cl_resize_sum *sum) {
    size_t column = 0;
    for (; sum->n - column >= WIDE_BLOCK; column += WIDE_BLOCK) sum_columns(sum, column, WIDE_BLOCK);
    for (; column < sum->n; column += CL_RESIZE_GROUP) sum_columns(sum, column, CL_RESIZE_GROUP);
}
