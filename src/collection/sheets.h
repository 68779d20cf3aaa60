/* Thumbnails of images, many to a JPEG. */
#ifndef CL_COLLECTION_SHEETS_H
#define CL_COLLECTION_SHEETS_H

#include "base/threads.h"
#include "coulis.h"

/* Thumbnails in a row of a sheet, and rows at most. */
#define CL_SHEET_COLUMNS 32

typedef struct cl_sheet {
    unsigned char *jpeg; /* released with free, as libjpeg allocates it */
    unsigned long size;
    int64_t missing; /* thumbnails whose image could not be read: grey */
} cl_sheet;

/* A sheet of `count` images (at most CL_SHEET_COLUMNS squared), each cropped to a square of `side` pixels, EXIF
 * orientation applied, transparency over white. */
coulis_status cl_sheet_make(const char *const *paths, int64_t count, int32_t side, cl_pool *pool, cl_sheet *sheet,
                            coulis_error *error);

#endif
