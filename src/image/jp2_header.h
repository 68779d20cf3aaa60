/* What stands before the pixels of a JPEG 2000 file. */
#pragma once

#include "image/source.h"

typedef struct cl_jp2_header {
    bool boxes; /* a JP2 file, not a bare codestream */
    uint32_t width, height, components;
    bool wide; /* one component of more than 8 bits */
    bool cmyk;
    uint32_t colors; /* of a palette; 0: none */
    uint8_t palette[256][4];
} cl_jp2_header;

/* COULIS_UNREADABLE when there is no size, or more than four components. */
coulis_status cl_jp2_read_header(const cl_source *image, cl_jp2_header *header);
