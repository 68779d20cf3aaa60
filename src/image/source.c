#include "image/source.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Of a longer path only the end is shown, so that the reason always fits. */
#define NAME_SHOWN 240

coulis_status cl_source_fail(const cl_source *image, coulis_status status, const char *format, ...) {
    char reason[sizeof((coulis_error *)0)->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);

    const char *name = image->name ? image->name : "the image";
    const char *dots = "";
    size_t length = strlen(name);
    if (length > NAME_SHOWN) {
        name += length - NAME_SHOWN;
        while (((unsigned char)*name & 0xC0) == 0x80) name++; /* not in the middle of a UTF-8 character */
        dots = "...";
    }
    return cl_fail(image->error, status, "%s%s %s", dots, name, reason);
}

coulis_status cl_source_fail_memory(const cl_source *image) {
    return cl_source_fail(image, COULIS_NO_MEMORY, "needs more memory to decode than there is");
}

bool cl_source_has_memory(const cl_source *image) {
    void *memory = cl_alloc((size_t)image->stored_width * (size_t)image->stored_height, 12);
    cl_free(memory);
    return memory != NULL;
}

coulis_status cl_source_set_size(cl_source *image, uint64_t width, uint64_t height) {
    if (width <= INT32_MAX && height <= INT32_MAX) {
        image->stored_width = (int32_t)width;
        image->stored_height = (int32_t)height;
    }
    if (width == 0 || height == 0) {
        return cl_source_fail(image, COULIS_UNREADABLE, "is %" PRIu64 " x %" PRIu64 " pixels: it has none", width,
                              height);
    }
    uint64_t limit = (uint64_t)image->options->max_pixels;
    if (width > INT32_MAX || height > INT32_MAX || width > limit / height) {
        return cl_source_fail(image, COULIS_TOO_LARGE,
                              "is %" PRIu64 " x %" PRIu64 " pixels, more than the limit of %" PRIu64 " pixels", width,
                              height, limit);
    }
    return COULIS_OK;
}
