#include "base/memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The size of a large page of x86-64 and of most ARM kernels, and from where on asking for them is worth it. */
#define HUGE_PAGE ((size_t)2 << 20)
#define LARGE_BYTES (2 * HUGE_PAGE)

#ifdef COULIS_TESTING
#include <stdatomic.h>

static _Atomic int64_t allocations_left;
static atomic_bool allocations_counted;

void cl_test_fail_allocation(int64_t n) {
    atomic_store(&allocations_left, n);
    atomic_store(&allocations_counted, n > 0);
}

static bool must_fail(void) { return atomic_load(&allocations_counted) && atomic_fetch_sub(&allocations_left, 1) <= 1; }
#else
static bool must_fail(void) { return false; }
#endif

bool cl_mul_size(size_t a, size_t b, size_t *product) { return !__builtin_mul_overflow(a, b, product); }

void *cl_alloc(size_t count, size_t size) {
    size_t bytes;
    if (!cl_mul_size(count, size, &bytes) || bytes > SIZE_MAX / 2 || must_fail()) return NULL;
    /* aligned_alloc wants a multiple of the alignment. */
    size_t alignment = bytes >= LARGE_BYTES ? HUGE_PAGE : CL_ALIGNMENT;
    size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void *memory = aligned_alloc(alignment, rounded ? rounded : alignment);
    /* A wish: weights and maps are walked in long strides, which 4 KiB pages make slow. */
    if (memory && alignment == HUGE_PAGE) madvise(memory, rounded, MADV_HUGEPAGE);
    return memory;
}

void *cl_alloc_zero(size_t count, size_t size) {
    void *memory = cl_alloc(count, size);
    if (memory) memset(memory, 0, count * size);
    return memory;
}

void *cl_grow(void *old, size_t count, size_t size) {
    size_t bytes;
    if (!cl_mul_size(count, size, &bytes) || bytes > SIZE_MAX / 2 || must_fail()) return NULL;
    return realloc(old, bytes ? bytes : 1);
}

void cl_free(void *memory) { free(memory); }

/* Not getrusage: a process begins there with what the one that started it held, such as a notebook's gigabytes. */
int64_t cl_peak_memory(void) {
    char text[4096]; /* the line is among the first twenty */
    const int descriptor = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return 0;
    const ssize_t size = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    if (size <= 0) return 0;
    text[size] = '\0';
    const char *line = strstr(text, "VmHWM:");
    return line ? strtoll(line + strlen("VmHWM:"), NULL, 10) * 1024 : 0; /* in KiB */
}

char *cl_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = cl_alloc(size, 1);
    if (copy) memcpy(copy, text, size);
    return copy;
}
