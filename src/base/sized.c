#include "base/sized.h"

/* More than any struct of the interface will have: a larger size is memory that nobody has set up. */
#define SIZE_LIMIT 4096

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t size_of(const void *given) {
    size_t size;
    memcpy(&size, given, sizeof size);
    return size >= sizeof size && size <= SIZE_LIMIT ? size : 0;
}

void cl_sized_init(void *given, size_t given_size, const void *defaults, size_t size) {
    if (!given || given_size < sizeof given_size || given_size > SIZE_LIMIT) return;
    memset(given, 0, given_size);
    memcpy(given, defaults, smaller(given_size, size));
    memcpy(given, &given_size, sizeof given_size);
}

coulis_status cl_sized_read(const void *given, const char *type, void *own, size_t size, coulis_error *error) {
    if (!given) return COULIS_OK;
    const size_t given_size = size_of(given);
    if (given_size == 0)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: not set up; call %s_init first", type, type);
    for (size_t i = size; i < given_size; i++)
        if (((const unsigned char *)given)[i] != 0)
            return cl_fail(error, COULIS_INVALID_ARGUMENT,
                           "%s: a field is set that this library, version %s, does not know; use a later library", type,
                           coulis_version());
    const size_t known = smaller(given_size, size);
    memcpy((unsigned char *)own + sizeof size, (const unsigned char *)given + sizeof size, known - sizeof size);
    return COULIS_OK;
}

bool cl_sized_write(void *given, const void *own, size_t size) {
    const size_t given_size = size_of(given);
    if (given_size == 0) return false;
    const size_t known = smaller(given_size, size);
    memcpy((unsigned char *)given + sizeof size, (const unsigned char *)own + sizeof size, known - sizeof size);
    return true;
}
