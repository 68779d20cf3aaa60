/* Rows of a PNG: undoing the filter, and from samples of any depth to pixels. */
#pragma once

#include "image/png_chunks.h"

/* Undoes the filter `type` of a row of `size` bytes; `pixel` bytes are between a byte and the one
 * left of it. False when there is no such filter. */
bool cl_png_unfilter(uint8_t type, uint8_t *row, const uint8_t *previous, size_t size, size_t pixel);

/* Bits of a pixel in the file, and bytes of one when unpacked: 1, or 2 for 16-bit grey, or 4. */
uint32_t cl_png_bits(const cl_png_stream *stream);
size_t cl_png_pixel_bytes(cl_png_mode mode);

/* `count` pixels of the file's depth to unpacked ones. */
void cl_png_unpack(const cl_png_stream *stream, const uint8_t *packed, uint8_t *pixels, size_t count);

/* Unpacked pixels to RGB and a byte of no meaning. */
typedef struct cl_png_colors {
    cl_png_mode mode;
    uint8_t palette[256][4]; /* with alpha */
    bool white;              /* composite over white, by alpha or by: */
    bool has_color_key;
    uint8_t color_key[3];
    bool scale;        /* grey of 16 bits to 8 */
    uint32_t wide_key; /* and its colour key */
} cl_png_colors;

void cl_png_to_rgb(const cl_png_colors *colors, const uint8_t *pixels, uint8_t *rgb, size_t count);
