/* From the bytes of an image to RGB of the size a network wants. */
#pragma once

#include "base/files.h"

/* The caller's options (may be NULL) over the defaults, checked. */
coulis_status cl_image_options_read(const coulis_image_options *given, coulis_image_options *own, coulis_error *error);

/* What coulis_image_decode does with options that cl_image_options_read gave. Messages begin with `name`, or with
 * "the image" when it is NULL. */
coulis_status cl_image_decode(const char *name, const uint8_t *bytes, size_t size, const coulis_image_options *options,
                              int32_t width, int32_t height, uint8_t *rgb, int32_t *stored_width,
                              int32_t *stored_height, coulis_error *error);

/* The same from pixels that are decoded already; `rgb` is not NULL, `width` and `height` are at least 1. */
coulis_status cl_image_from_pixels(const char *name, const coulis_pixels *pixels, const coulis_image_options *options,
                                   int32_t width, int32_t height, uint8_t *rgb, int32_t *stored_width,
                                   int32_t *stored_height, coulis_error *error);

/* Reads a whole file into fresh memory (*bytes, released with cl_free), checking its size
 * against `max_bytes` first. COULIS_MISSING, COULIS_EMPTY, COULIS_TOO_LARGE,
 * COULIS_UNREADABLE (not permitted, not a regular file, read error, or it changes while it is read) or
 * COULIS_NO_MEMORY. The sentence names the path. `state` (may be NULL) gets that of the file whose bytes these are;
 * nothing when it could not be opened. */
coulis_status cl_image_read_file(const char *path, int64_t max_bytes, uint8_t **bytes, size_t *size,
                                 cl_file_state *state, coulis_error *error);
