/* zlib's memory from our allocator, so that tests can make it fail. */
#pragma once

#include "base/base.h"

static inline void *cl_zlib_alloc(void *unused, unsigned count, unsigned size) {
    (void)unused;
    return cl_alloc(count, size);
}

static inline void cl_zlib_free(void *unused, void *memory) {
    (void)unused;
    cl_free(memory);
}
