/* The data of a GIF frame: LZW codes of up to 12 bits in blocks of up to 255 bytes. */
#pragma once

#include "base/base.h"

typedef struct cl_gif_area {
    uint8_t *pixels; /* the first one */
    size_t stride;   /* from a row to the next */
    uint32_t width, height;
    bool interlaced;
} cl_gif_area;

/* Fills `area` from the blocks that begin at *at, which moves along; `bits`, 0 to 12, is what the frame names. NULL
 * when all of it was there, else what is wrong (static storage): what was decoded before is in `area`. */
const char *cl_gif_inflate(const uint8_t *bytes, size_t size, size_t *at, uint8_t bits, const cl_gif_area *area);
