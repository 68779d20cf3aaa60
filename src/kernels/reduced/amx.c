#include <immintrin.h>
#include <stdint.h>

/* As LDTILECFG reads it. */
typedef struct configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} configuration;

/* A tile without rows has no bytes either. The compilers' own functions do not say that they read memory: it has to be
 * written before. */
static inline void tiles_configure(uint8_t upper, uint8_t lower) {
    const uint16_t bytes = lower ? 64 : 0;
    const configuration c = {.palette = 1,
                             .row_bytes = {64, 64, bytes, bytes, 64, bytes, 64, 64},
                             .rows = {upper, upper, lower, lower, upper, lower, 16, 16}};
    __asm__ volatile("" : : "r"(&c) : "memory");
    _tile_loadconfig(&c);
}

#define tiles_release() _tile_release()
#define tile_zero(t) _tile_zero(t)
#define tile_load(t, from, stride) _tile_loadd(t, from, (size_t)(stride))
#define tile_store(t, to, stride) _tile_stored(t, to, (size_t)(stride))
#define tile_dot_bf16(c, a, b) _tile_dpbf16ps(c, a, b)
#define tile_dot_int8(c, a, b) _tile_dpbusd(c, a, b)
#include "kernels/reduced/tiles.h"

void cl_reduced_bf16_amx(const cl_gemm *g, float *scratch);
void cl_reduced_int8_amx(const cl_gemm *g, float *scratch);

void cl_reduced_bf16_amx(const cl_gemm *g, float *scratch) { each_block(g, scratch, TILE, 0, multiply_bf16); }
void cl_reduced_int8_amx(const cl_gemm *g, float *scratch) { each_block(g, scratch, TILE, 1, multiply_int8); }
