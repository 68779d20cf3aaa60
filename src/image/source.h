/* Where an image comes from: its bytes, what is asked for, and how to say what is wrong. */
#pragma once

#include "base/base.h"

typedef struct cl_source {
    const uint8_t *bytes;
    size_t size;
    const char *name; /* may be NULL */
    const coulis_image_options *options;
    int32_t width, height;               /* wanted */
    int32_t stored_width, stored_height; /* 0 until known */
    coulis_error *error;
} cl_source;

/* cl_fail with a sentence that begins with the image's name: "NAME " and then `format`. */
__attribute__((format(printf, 3, 4))) coulis_status cl_source_fail(const cl_source *image, coulis_status status,
                                                                   const char *format, ...);
coulis_status cl_source_fail_memory(const cl_source *image);

/* For what a library says of a file without saying whether the file is not sound or memory was short: whether memory is
 * there for the image and the work of decoding it, three times as large. Ask when it failed twice. */
bool cl_source_has_memory(const cl_source *image);

/* Sets the stored size as soon as the header told it, and checks it: COULIS_UNREADABLE when a side is 0,
 * COULIS_TOO_LARGE when there are more pixels than allowed. */
coulis_status cl_source_set_size(cl_source *image, uint64_t width, uint64_t height);
