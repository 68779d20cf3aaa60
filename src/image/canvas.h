/* A decoder over an image that is in memory as a whole: for formats whose pixels do not come row by row. */
#pragma once

#include "image/decoder.h"

typedef struct cl_canvas {
    cl_decoder base;
    uint8_t *pixels; /* red, green, blue, alpha; all zero at first */
    int32_t row;     /* the next one to hand out */
    bool white;      /* composite over white, as options.alpha says */
} cl_canvas;

/* A canvas of the stored size of `image`. Whoever fills it hands out &canvas->base. */
coulis_status cl_canvas_create(const cl_source *image, cl_canvas **canvas);
void cl_canvas_free(cl_canvas *canvas);
