#include "image/source.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* Of a longer path only the end is shown, so that the reason always fits. */
#define NAME_SHOWN 240

coulis_status cl_source_fail(const cl_source *picture, coulis_status status, const char *format, ...) {
    char reason[sizeof((coulis_error *)0)->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);

    const char *name = picture->name ? picture->name : "the image";
    const char *dots = "";
    size_t length = strlen(name);
    if (length > NAME_SHOWN) {
        name += length - NAME_SHOWN;
        while (((unsigned char)*name & 0xC0) == 0x80) name++; /* not in the middle of a UTF-8 character */
        dots = "...";
    }
    return cl_fail(picture->error, status, "%s%s %s", dots, name, reason);
}

coulis_status cl_source_fail_memory(const cl_source *picture) {
    return cl_source_fail(picture, COULIS_NO_MEMORY, "needs more memory to decode than there is");
}

bool cl_source_has_memory(const cl_source *picture) {
    void *memory = cl_alloc((size_t)picture->stored_width * (size_t)picture->stored_height, 12);
    cl_free(memory);
    return memory != NULL;
}

coulis_status cl_source_set_size(cl_source *picture, uint64_t width, uint64_t height) {
    if (width <= INT32_MAX && height <= INT32_MAX) {
        picture->stored_width = (int32_t)width;
        picture->stored_height = (int32_t)height;
    }
    if (width == 0 || height == 0) {
        return cl_source_fail(picture, COULIS_UNREADABLE, "is %" PRIu64 " x %" PRIu64 " pixels: it has none", width,
                              height);
    }
    uint64_t limit = (uint64_t)picture->options->max_pixels;
    if (width > INT32_MAX || height > INT32_MAX || width > limit / height) {
        return cl_source_fail(picture, COULIS_TOO_LARGE,
                              "is %" PRIu64 " x %" PRIu64 " pixels, more than the limit of %" PRIu64 " pixels", width,
                              height, limit);
    }
    return COULIS_OK;
}
