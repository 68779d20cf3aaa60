/* Products in fewer bits than float32: A is rounded row by row, B once, and sums are of 32 bits.
 * README.md beside this file has the formulas, the layout and the bounds. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "coulis.h"
#include "kernels/kernels.h"

/* Columns of a panel of B: a register of 32-bit numbers. */
#define CL_REDUCED_COLUMNS 16

/* No sum over more products of 255 and 127 than this overflows 31 bits. */
#define CL_REDUCED_K_MAX 65536

/* Products of one precision on one kind of processor. Numbers go by units of 32 bits: two of bfloat16, four bytes. */
typedef struct cl_reduced {
    const char *name;
    coulis_precision precision;
    cl_cpu_extra needs;
    /* As the gemm of cl_kernels, but b is what cl_reduced_pack made, there are no runs, bias is given, and `scratch`
     * holds cl_reduced_scratch_count numbers, aligned to a cache line. */
    void (*product)(const cl_gemm *gemm, float *scratch);
} cl_reduced;

/* All that are built for this kind of processor; *count says how many. */
const cl_reduced *cl_reduced_all(int32_t *count);

/* That of a precision; NULL for float32, where this processor has no instruction for them, and below the
 * level avx512. */
const cl_reduced *cl_reduced_for(cl_cpu_level level, int32_t precision);

/* Numbers that cl_reduced_pack writes for a k x columns matrix, and that a product takes as scratch memory. */
int64_t cl_reduced_packed_count(const cl_reduced *reduced, int64_t k, int64_t columns);
int64_t cl_reduced_scratch_count(const cl_reduced *reduced, int64_t k);

/* Packs B, k rows of `columns` finite numbers one after another. */
void cl_reduced_pack(const cl_reduced *reduced, int64_t k, int64_t columns, const float *b, float *packed);

static inline int64_t cl_reduced_padded(int64_t columns) {
    return (columns + CL_REDUCED_COLUMNS - 1) / CL_REDUCED_COLUMNS * CL_REDUCED_COLUMNS;
}

/* The nearest bfloat16, the even one of two; x is finite. */
static inline uint16_t cl_bf16_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Units of a row of k numbers, `numbers` to a unit. */
static inline int64_t cl_reduced_units(int64_t k, int64_t numbers) { return (k + numbers - 1) / numbers; }

/* Units from one rounded row of A to the next: whole cache lines, which are written whole. */
static inline int64_t cl_reduced_row_units(int64_t units) { return (units + 15) / 16 * 16; }

/* Rows of A that are rounded, then taken through all panels of B: half of a small second-level cache, as in gemm, less
 * the room that their results take beside them; and a multiple of 32. */
static inline int64_t cl_reduced_rows(int64_t units) {
    const int64_t rows = 64 * 1024 / 4 / cl_reduced_row_units(units) / 32 * 32;
    return rows < 32 ? 32 : rows;
}
