/* The formats of images: detected from a file's first bytes and never from its name. */
#pragma once

#include "image/decoder.h"

typedef struct cl_image_format {
    size_t offset, length;
    const char *signature; /* `length` bytes at `offset`; '?' stands for any byte */
    const char *name;
    coulis_status (*open)(cl_source *image, cl_decoder **decoder); /* NULL: recognized, but not decoded */
} cl_image_format;

/* The row of the table that `bytes` begin as. Where none fits, a row without `open` whose name says what the bytes look
 * like, "" when like nothing known. Static storage. */
const cl_image_format *cl_format_of(const uint8_t *bytes, size_t size);

/* Whether a file's name ends as an image's does, of any format, decoded or not. */
bool cl_is_image_name(const char *name);
