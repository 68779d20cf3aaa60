/* Turning an image as its EXIF orientation says. */
#pragma once

#include "image/decoder.h"

/* Puts a decoder before *decoder that gives the rows of the image turned upright, and owns it. It
 * holds the whole image. On failure *decoder is as it was. */
coulis_status cl_orient(const cl_source *image, cl_decoder **decoder);
