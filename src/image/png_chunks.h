/* The chunks of a PNG: what each says of the pixels. Faults in others do not refuse the image. */
#pragma once

#include "image/png_stream.h"

typedef enum cl_png_handled {
    CL_PNG_READ, /* chunk->data is there */
    CL_PNG_END,  /* IDAT, fdAT or IEND: stream->at is where its data begins */
    CL_PNG_FAULT /* cl_source_fail has been called; see *status */
} cl_png_handled;

typedef enum cl_png_next { CL_PNG_CHUNK, CL_PNG_NO_MORE, CL_PNG_BAD_ID } cl_png_next;

void cl_png_stream_init(cl_png_stream *stream, cl_source *image);
/* Reads a chunk's length and name. */
cl_png_next cl_png_next_chunk(cl_png_stream *stream, cl_png_chunk *chunk);
cl_png_handled cl_png_handle(cl_png_stream *stream, cl_png_chunk *chunk, coulis_status *status);
/* Passes over `length` bytes; false, with the end of the file as place, when there are fewer. */
bool cl_png_skip(cl_png_stream *stream, size_t length);
/* Compares the checksum that follows chunk->data. */
coulis_status cl_png_check_crc(cl_png_stream *stream, const cl_png_chunk *chunk);
coulis_status cl_png_fail(const cl_png_stream *stream, const cl_png_chunk *chunk, const char *what);
/* EXIF's 1 to 8, from what was read so far. */
int32_t cl_png_orientation(const cl_png_stream *stream);
