/* Text and colour profiles in a PNG. Their content is of no use here, but Pillow refuses a picture
 * when they are wrong or inflate to too much; and orientation can be in a text. */
#ifndef CL_IMAGE_PNG_TEXT_H
#define CL_IMAGE_PNG_TEXT_H

#include "image/png_chunks.h"

coulis_status cl_png_iccp(cl_png_stream *stream, const cl_png_chunk *chunk);
coulis_status cl_png_text(cl_png_stream *stream, const cl_png_chunk *chunk);
coulis_status cl_png_compressed_text(cl_png_stream *stream, const cl_png_chunk *chunk);
coulis_status cl_png_international_text(cl_png_stream *stream, const cl_png_chunk *chunk);

#endif
