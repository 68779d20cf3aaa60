/* The markers of a JPEG up to its first scan, read as Pillow reads them before it decodes. */
#pragma once

#include "image/source.h"

typedef struct cl_jpeg_header {
    uint32_t width, height;
    int32_t layers;      /* 1, 3 or 4 */
    int32_t orientation; /* 1 unless the options ask for EXIF's */
    uint8_t *profile;    /* the ICC profile, for the caller to cl_free; only when the options ask for it */
    size_t profile_size;
    uint8_t profile_parts;
} cl_jpeg_header;

/* Sets the stored size of `image` when it is found. COULIS_UNREADABLE with the offset of the marker, or
 * COULIS_NO_MEMORY. */
coulis_status cl_jpeg_read_header(cl_source *image, cl_jpeg_header *header);
