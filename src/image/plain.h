/* Resizing without antialiasing: COULIS_FILTER_PLAIN. */
#pragma once

#include "image/decoder.h"

/* Reads all rows of `decoder` and writes the wanted height x width x 3 bytes. */
coulis_status cl_plain_resize(const cl_source *image, cl_decoder *decoder, uint8_t *rgb);
