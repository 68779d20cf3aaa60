/* zlib's memory from our allocator, so that tests can make it fail. */
#ifndef CL_IMAGE_ZLIB_MEMORY_H
#define CL_IMAGE_ZLIB_MEMORY_H

#include "base/memory.h"

static inline void *cl_zlib_alloc(void *unused, unsigned count, unsigned size) {
    (void)unused;
    return cl_alloc(count, size);
}

static inline void cl_zlib_free(void *unused, void *memory) {
    (void)unused;
    cl_free(memory);
}

#endif
