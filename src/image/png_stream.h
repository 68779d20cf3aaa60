/* A PNG while it is read: where, and what its chunks have said so far. */
#pragma once

#include "image/source.h"

/* What a pixel is made of once unpacked, as Pillow's modes of these names. */
typedef enum cl_png_mode {
    CL_PNG_NONE = 0, /* no header with a known combination of depth and colour type yet */
    CL_PNG_BILEVEL,
    CL_PNG_GRAY,
    CL_PNG_GRAY16,
    CL_PNG_PALETTE,
    CL_PNG_RGB,
    CL_PNG_GRAY_ALPHA,
    CL_PNG_RGBA
} cl_png_mode;

#define CL_PNG_ID(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define CL_PNG_IDAT CL_PNG_ID('I', 'D', 'A', 'T')
#define CL_PNG_DDAT CL_PNG_ID('D', 'D', 'A', 'T')
#define CL_PNG_fdAT CL_PNG_ID('f', 'd', 'A', 'T')
#define CL_PNG_IEND CL_PNG_ID('I', 'E', 'N', 'D')
#define CL_PNG_fcTL CL_PNG_ID('f', 'c', 'T', 'L')
#define CL_PNG_tEXt CL_PNG_ID('t', 'E', 'X', 't')
#define CL_PNG_zTXt CL_PNG_ID('z', 'T', 'X', 't')
#define CL_PNG_iTXt CL_PNG_ID('i', 'T', 'X', 't')

typedef struct cl_png_stream {
    cl_source *image;
    size_t at; /* what is read next */

    cl_png_mode mode;
    uint8_t depth, color_type; /* of the last header with a known combination */
    uint32_t width, height;
    bool interlaced;

    const uint8_t *palette; /* NULL for none */
    uint32_t palette_bytes;
    const uint8_t *alphas; /* tRNS of a palette image: an alpha for each entry */
    uint32_t alpha_count;
    bool has_color_key; /* tRNS of another: the colour that is transparent */
    uint32_t color_key[3];

    bool has_frame; /* fcTL: where in the image the frame that follows lies */
    uint64_t frame_left, frame_top, frame_right, frame_bottom;
    int64_t sequence;    /* the last sequence number of an animation, -1 before the first */
    int64_t frame_count; /* acTL's, -1 when there is none or it is not valid */
    int64_t inflated;    /* bytes of compressed text so far */

    /* 0 until found. In Pillow an eXIf chunk goes before a "Raw profile type exif", that before XMP. */
    int32_t exif_orientation, profile_orientation, xmp_orientation;
    bool has_exif, has_profile;
} cl_png_stream;

typedef struct cl_png_chunk {
    uint32_t id;
    size_t start; /* offset of the length */
    uint32_t length;
    const uint8_t *data; /* after cl_png_handle: all of it */
} cl_png_chunk;
