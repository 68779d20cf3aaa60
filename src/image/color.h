/* Colours that only a profile explains, by LittleCMS with the perceptual intent: to sRGB. */
#pragma once

#include "image/source.h"

typedef enum cl_color_kind {
    CL_COLOR_LAB, /* CIELAB as Pillow has it: 8 bits, a and b moved up by 128, and a byte of no meaning */
    CL_COLOR_CMYK,
    CL_COLOR_CMYK_INVERTED /* 255: no ink */
} cl_color_kind;

typedef struct cl_color cl_color;

/* `profile` is an ICC profile of `size` bytes, or NULL with CL_COLOR_LAB. When the profile cannot be used, *color is
 * NULL, with COULIS_OK. */
coulis_status cl_color_create(const cl_source *image, const uint8_t *profile, size_t size, cl_color_kind kind,
                              cl_color **color);
/* `count` pixels of 4 bytes become red, green, blue and 255. */
void cl_color_apply(const cl_color *color, uint8_t *pixels, size_t count);
void cl_color_free(cl_color *color);
