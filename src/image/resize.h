/* Resizes an image whose rows come one after the other, without ever holding all of it. */
#pragma once

#include "image/decoder.h"
#include "kernels/resize/resize.h"

typedef struct cl_resizer cl_resizer;

/* The size that a whole image is resized to, whose sides are as `in_width` to `in_height`: what is wanted, or the
 * size out of which that is cut. */
void cl_resize_whole(const cl_source *image, int64_t in_width, int64_t in_height, int64_t *width, int64_t *height);

/* The first of `target` samples cut out of the middle of `size`. */
int64_t cl_resize_offset(const cl_source *image, int64_t size, int64_t target);

/* From the rows of `decoder`, of which only size and box count here, to the size wanted. */
coulis_status cl_resizer_create(const cl_source *image, const cl_decoder *decoder, cl_resize_kernel kernel,
                                cl_resizer **resizer);
void cl_resizer_free(cl_resizer *resizer);

/* The rows to fill next, 4 bytes to a pixel (red, green, blue, anything), and how many; 0 after the last. */
uint8_t *const *cl_resizer_rows(const cl_resizer *resizer, int32_t *count);
/* Takes those rows. */
void cl_resizer_take(cl_resizer *resizer);
/* After the last row: writes height x width x 3 bytes. */
void cl_resizer_finish(cl_resizer *resizer, uint8_t *rgb);
