/* Orientation in the texts of a PNG: as XMP, or as ImageMagick keeps EXIF. All other text is passed over. */
#pragma once

#include "image/png_stream.h"

/* For a chunk tEXt, zTXt or iTXt. What is not sound counts as absent; COULIS_NO_MEMORY is the one failure. */
coulis_status cl_png_text(cl_png_stream *stream, const cl_png_chunk *chunk);
