/* Which format a file is of, told by its first bytes and never by its name. */
#ifndef CL_IMAGE_FORMAT_H
#define CL_IMAGE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

typedef enum cl_format { CL_FORMAT_OTHER = 0, CL_FORMAT_JPEG, CL_FORMAT_PNG, CL_FORMAT_WEBP } cl_format;

/* For CL_FORMAT_OTHER, *looks_like (static storage) says what the bytes look like, "" when like nothing known. */
cl_format cl_format_of(const uint8_t *bytes, size_t size, const char **looks_like);

#endif
