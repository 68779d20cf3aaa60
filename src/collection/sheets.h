/* Thumbnails of images, many to a JPEG. */
#pragma once

#include "collection/originals.h"

/* Thumbnails in a row of a sheet, and rows at most. */
#define CL_SHEET_COLUMNS 32

typedef struct cl_sheet {
    unsigned char *jpeg; /* released with free, as libjpeg allocates it */
    unsigned long size;
} cl_sheet;

/* A sheet of `count` images (at most CL_SHEET_COLUMNS squared), each a square of `side` pixels; grey where the image
 * cannot be had, which is added to `missing`. */
coulis_status cl_sheet_make(cl_originals *originals, const char *const *paths, int64_t count, int32_t side,
                            cl_sheet *sheet, cl_missing *missing, coulis_error *error);
