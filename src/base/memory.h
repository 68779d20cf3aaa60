/* Allocation: overflow-checked, aligned for any vector register, never silent. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A cache line, and the widest vector register (AVX-512). */
#define CL_ALIGNMENT 64

/* `count` * `size` bytes, aligned to CL_ALIGNMENT, not zeroed; NULL when the product
 * overflows or memory is short. count 0 gives a valid pointer. */
void *cl_alloc(size_t count, size_t size);

/* The same, zeroed. */
void *cl_alloc_zero(size_t count, size_t size);

/* Plain realloc semantics (no alignment beyond malloc's), overflow-checked. Only
 * for memory that came from cl_grow; freed with cl_free too. */
void *cl_grow(void *old, size_t count, size_t size);

/* NULL is allowed. */
void cl_free(void *memory);

/* A copy of `text`, or NULL. */
char *cl_strdup(const char *text);

/* The most memory this process has held so far, in bytes; 0 when the system does not say. */
int64_t cl_peak_memory(void);

/* a * b into *product; false when it does not fit. */
bool cl_mul_size(size_t a, size_t b, size_t *product);

#ifdef COULIS_TESTING
/* Test builds only: the n-th allocation from now on (1 = the next) fails, and
 * every later one; 0 switches this off. */
void cl_test_fail_allocation(int64_t n);
#endif
