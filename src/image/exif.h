/* The orientation of an image, found where Pillow's ImageOps.exif_transpose finds it. */
#pragma once

#include "base/base.h"

/* Looks for the tag Orientation in EXIF data, with or without "Exif\0\0" before it. True when
 * it is there: *orientation is its value, 1 when that is none of 1 to 8. Anything malformed reads
 * as absent; nothing here can refuse an image. */
bool cl_exif_orientation(const uint8_t *data, size_t size, int32_t *orientation);

/* The same for tiff:Orientation in an XMP packet. */
bool cl_xmp_orientation(const uint8_t *data, size_t size, int32_t *orientation);
