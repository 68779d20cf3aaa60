/* The smaller of two numbers. */
#pragma once

#include <stdint.h>

static inline int64_t cl_smaller(int64_t a, int64_t b) { return a < b ? a : b; }
