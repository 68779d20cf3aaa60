/* Random numbers of the tests, the same on every machine. */
#pragma once

#include <stdint.h>

#include "base/memory.h"

static uint32_t random_state = 1;

static inline uint32_t next_bits(void) { return random_state = random_state * 1664525u + 1013904223u; }

/* -1 to 1 */
static inline float next_random(void) { return (float)(int32_t)next_bits() * 0x1p-31f; }

static inline float *random_numbers(int64_t count) {
    float *numbers = cl_alloc((size_t)count, sizeof *numbers);
    for (int64_t i = 0; i < count; i++) numbers[i] = next_random();
    return numbers;
}
