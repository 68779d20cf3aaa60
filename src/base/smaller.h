/* The smaller of two numbers. */
#ifndef CL_BASE_SMALLER_H
#define CL_BASE_SMALLER_H

#include <stdint.h>

static inline int64_t cl_smaller(int64_t a, int64_t b) { return a < b ? a : b; }

#endif
