/* What the files of the BMP reader share. */
#pragma once

#include "image/decoder.h"

typedef enum cl_bmp_mode { CL_BMP_PALETTE, CL_BMP_BILEVEL, CL_BMP_GREY, CL_BMP_COLOR } cl_bmp_mode;

/* Where in a pixel of 16, 24 or 32 bits the colours are. */
typedef struct cl_bmp_layout {
    uint16_t bits;
    uint32_t mask[4];
    int8_t byte[4]; /* of red, green, blue, alpha; -1 for no alpha; not used with 16 bits */
} cl_bmp_layout;

typedef struct bmp {
    cl_decoder base;
    cl_source *image;
    bool top_down, white;
    uint32_t bits, compression, colors;
    cl_bmp_mode mode;
    const cl_bmp_layout *layout;
    uint8_t palette[256][3];
    uint64_t start, stride, row_bytes; /* of the rows in the file */
    uint8_t *indices;                  /* run lengths decoded: a byte for each pixel, bottom row first */
    uint8_t *missing;                  /* a row of zeros */
    int32_t row;                       /* the next one */
} bmp;

/* `mask` NULL: the layout of a file without masks. NULL when there is none. */
const cl_bmp_layout *cl_bmp_layout_of(uint32_t bits, const uint32_t *mask);
/* Decodes the runs at b->start into b->indices. */
coulis_status cl_bmp_inflate(bmp *b, bool nibbles);
/* One row to red, green, blue, alpha. */
void cl_bmp_unpack(const bmp *b, const uint8_t *from, uint8_t *rgba, size_t width);
