#include "table/parquet_memory.h"

#include <carquet/carquet.h>

#include "base/crc32.h"
#include "base/sync.h"

static _Thread_local bool failed;

static void *noted(void *memory) {
    if (!memory) failed = true;
    return memory;
}

static void *get(size_t size, void *context) {
    (void)context;
    return noted(cl_grow(NULL, size, 1));
}

static void *change(void *old, size_t size, void *context) {
    (void)context;
    return noted(cl_grow(old, size, 1));
}

static void give_back(void *memory, void *context) {
    (void)context;
    cl_free(memory);
}

/* carquet has one allocator for the process; it is hidden in this library, so nobody else uses this copy of it. */
static void set_allocator(void) {
    const carquet_allocator_t allocator = {.malloc = get, .realloc = change, .free = give_back};
    carquet_set_allocator(&allocator);
}

void cl_parquet_memory_begin(void) {
    static cl_once once = CL_ONCE_INIT;
    cl_call_once(&once, set_allocator);
    failed = false;
}

bool cl_parquet_memory_failed(void) { return failed; }

/* The two functions by which carquet sums up its pages, which the build leaves out of it: there they ask zlib, whose
 * tables took a thirtieth of the processor time of a job that carries its vectors over. */
uint32_t carquet_crc32(const uint8_t *data, size_t length);
uint32_t carquet_crc32_update(uint32_t crc, const uint8_t *data, size_t length);

uint32_t carquet_crc32_update(uint32_t crc, const uint8_t *data, size_t length) { return cl_crc32(crc, data, length); }
uint32_t carquet_crc32(const uint8_t *data, size_t length) { return cl_crc32(0, data, length); }
