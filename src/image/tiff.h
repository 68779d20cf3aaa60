/* What the files of the TIFF reader share. Layout: Adobe, TIFF Revision 6.0, 1992; BigTIFF as libtiff describes it. */
#pragma once

#include "image/canvas.h"

/* The tags that are looked at. */
typedef enum cl_tiff_tag {
    CL_TIFF_KIND,
    CL_TIFF_WIDTH,
    CL_TIFF_HEIGHT,
    CL_TIFF_BITS,
    CL_TIFF_COMPRESSION,
    CL_TIFF_PHOTOMETRIC,
    CL_TIFF_FILL_ORDER,
    CL_TIFF_MAKE,
    CL_TIFF_STRIP_OFFSETS,
    CL_TIFF_ORIENTATION,
    CL_TIFF_SAMPLES,
    CL_TIFF_ROWS_PER_STRIP,
    CL_TIFF_MAX_SAMPLE,
    CL_TIFF_PLANAR,
    CL_TIFF_COLOR_MAP,
    CL_TIFF_TILE_WIDTH,
    CL_TIFF_TILE_HEIGHT,
    CL_TIFF_TILE_OFFSETS,
    CL_TIFF_SUB_DIRECTORIES,
    CL_TIFF_EXTRA,
    CL_TIFF_SAMPLE_FORMAT,
    CL_TIFF_XMP,
    CL_TIFF_ICC,
    CL_TIFF_DNG_VERSION,
    CL_TIFF_TAGS
} cl_tiff_tag;

typedef struct cl_tiff_field {
    const uint8_t *data; /* NULL: not there */
    uint64_t count;
    uint32_t type;
} cl_tiff_field;

typedef enum cl_tiff_kind {
    CL_TIFF_GREY,
    CL_TIFF_WIDE_GREY, /* of more than 8 bits */
    CL_TIFF_PALETTE,
    CL_TIFF_RGB,
    CL_TIFF_CMYK,
    CL_TIFF_YCBCR,
    CL_TIFF_LAB
} cl_tiff_kind;

typedef enum cl_tiff_alpha { CL_TIFF_OPAQUE, CL_TIFF_ASSOCIATED, CL_TIFF_UNASSOCIATED } cl_tiff_alpha;

typedef struct cl_tiff {
    cl_source *image;
    bool big_endian, big; /* big: BigTIFF */
    cl_tiff_field fields[CL_TIFF_TAGS];

    /* How a pixel is stored. */
    cl_tiff_kind kind;
    cl_tiff_alpha alpha;
    uint32_t bits, samples; /* of a sample; in a pixel */
    uint32_t format;        /* 1 unsigned, 2 signed, 3 floating point */
    bool inverted;          /* 0 is white */
    bool reversed;          /* the first pixel in the lowest bits */
    bool swapped;           /* samples of several bytes not in the order of this machine */
    bool planes;            /* all of a plane before the next */
    uint32_t most;          /* the largest value that a wide sample has, for COULIS_DEPTH_SCALE */
    uint32_t colors;
    uint8_t palette[256][3];
    cl_canvas *canvas;
} cl_tiff;

/* Reads the first directory. A field that is not sound counts as absent. */
coulis_status cl_tiff_read_directory(cl_tiff *t);
/* The whole number at `index` of a field; false when it is none. */
bool cl_tiff_number(const cl_tiff *t, cl_tiff_tag tag, uint64_t index, uint64_t *value);
uint64_t cl_tiff_number_or(const cl_tiff *t, cl_tiff_tag tag, uint64_t otherwise);
coulis_status cl_tiff_fail(const cl_tiff *t, const char *what);

/* Finds out how pixels are stored. */
coulis_status cl_tiff_find_layout(cl_tiff *t);

/* Fill the canvas: without compression; by libtiff. */
coulis_status cl_tiff_read_plain(cl_tiff *t);
coulis_status cl_tiff_read_compressed(cl_tiff *t, uint32_t compression);

/* `count` pixels of a row to 4 bytes each. With several planes: samples of one plane, which go to byte `plane`. */
void cl_tiff_unpack(const cl_tiff *t, const uint8_t *from, uint8_t *pixels, size_t count);
void cl_tiff_unpack_plane(const cl_tiff *t, uint32_t plane, const uint8_t *from, uint8_t *pixels, size_t count);
/* What has to be done when all samples of all pixels are on the canvas: colours to red, green, blue, alpha. */
coulis_status cl_tiff_convert(cl_tiff *t);
