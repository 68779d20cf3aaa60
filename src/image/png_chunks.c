#include "image/png_chunks.h"

#include "base/crc32.h"
#include "image/bytes.h"
#include "image/exif.h"
#include "image/png_text.h"

void cl_png_stream_init(cl_png_stream *stream, cl_source *image) {
    *stream = (cl_png_stream){.image = image, .at = 8, .sequence = -1, .frame_count = -1};
}

static bool is_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

cl_png_next cl_png_next_chunk(cl_png_stream *stream, cl_png_chunk *chunk) {
    const cl_source *p = stream->image;
    size_t left = p->size - stream->at;
    const uint8_t *here = p->bytes + stream->at;
    *chunk = (cl_png_chunk){.start = stream->at};
    stream->at += left < 8 ? left : 8;
    if (left < 4) return CL_PNG_NO_MORE;
    chunk->length = cl_big32(here);
    if (left < 8) return CL_PNG_BAD_ID;
    for (int i = 4; i < 8; i++)
        if (!is_word(here[i])) return CL_PNG_BAD_ID;
    chunk->id = cl_big32(here + 4);
    return CL_PNG_CHUNK;
}

coulis_status cl_png_fail(const cl_png_stream *stream, const cl_png_chunk *chunk, const char *what) {
    const char id[5] = {(char)(chunk->id >> 24), (char)(chunk->id >> 16), (char)(chunk->id >> 8), (char)chunk->id, 0};
    return cl_source_fail(stream->image, COULIS_UNREADABLE, "is a damaged PNG: %s, in the chunk %s at byte %zu", what,
                          id, chunk->start);
}

bool cl_png_skip(cl_png_stream *stream, size_t length) {
    size_t left = stream->image->size - stream->at;
    stream->at += length < left ? length : left;
    return length <= left;
}

coulis_status cl_png_check_crc(cl_png_stream *stream, const cl_png_chunk *chunk) {
    const cl_source *p = stream->image;
    if (p->size - stream->at < 4) return cl_png_fail(stream, chunk, "a checksum cut short");
    const uint8_t id[4] = {(uint8_t)(chunk->id >> 24), (uint8_t)(chunk->id >> 16), (uint8_t)(chunk->id >> 8),
                           (uint8_t)chunk->id};
    uint32_t crc = cl_crc32(cl_crc32(0, id, 4), chunk->data, chunk->length);
    uint32_t stored = cl_big32(p->bytes + stream->at);
    stream->at += 4;
    return crc == stored ? COULIS_OK : cl_png_fail(stream, chunk, "a wrong checksum");
}

static cl_png_mode mode_of(uint8_t depth, uint8_t color_type) {
    bool byte_or_two = depth == 8 || depth == 16, small = depth == 1 || depth == 2 || depth == 4;
    switch (color_type) {
    case 0:
        if (depth == 1) return CL_PNG_BILEVEL;
        if (depth == 16) return CL_PNG_GRAY16;
        return depth == 8 || small ? CL_PNG_GRAY : CL_PNG_NONE;
    case 2: return byte_or_two ? CL_PNG_RGB : CL_PNG_NONE;
    case 3: return depth == 8 || small ? CL_PNG_PALETTE : CL_PNG_NONE;
    case 4: return depth == 8 ? CL_PNG_GRAY_ALPHA : depth == 16 ? CL_PNG_RGBA : CL_PNG_NONE;
    case 6: return byte_or_two ? CL_PNG_RGBA : CL_PNG_NONE;
    default: return CL_PNG_NONE;
    }
}

static coulis_status header(cl_png_stream *s, const cl_png_chunk *chunk) {
    if (chunk->length < 13) return cl_png_fail(s, chunk, "a header cut short");
    const uint8_t *d = chunk->data;
    s->width = cl_big32(d);
    s->height = cl_big32(d + 4);
    cl_png_mode mode = mode_of(d[8], d[9]);
    if (mode != CL_PNG_NONE) {
        s->mode = mode;
        s->depth = d[8];
        s->color_type = d[9];
    }
    if (d[12]) s->interlaced = true;
    return d[11] ? cl_png_fail(s, chunk, "an unknown filter method") : COULIS_OK;
}

static coulis_status transparency(cl_png_stream *s, const cl_png_chunk *chunk) {
    uint32_t colors = s->mode == CL_PNG_RGB ? 3 : 1;
    switch (s->mode) {
    case CL_PNG_PALETTE:
        s->alphas = chunk->data;
        s->alpha_count = chunk->length;
        return COULIS_OK;
    case CL_PNG_BILEVEL:
    case CL_PNG_GRAY:
    case CL_PNG_GRAY16:
    case CL_PNG_RGB:
        if (chunk->length < 2 * colors) return COULIS_OK;
        for (uint32_t i = 0; i < 3; i++) s->color_key[i] = cl_big16(chunk->data + 2 * (i % colors));
        if (s->mode == CL_PNG_BILEVEL)
            for (int i = 0; i < 3; i++) s->color_key[i] = s->color_key[i] ? 255 : 0;
        s->has_color_key = true;
        return COULIS_OK;
    default: return COULIS_OK;
    }
}

static coulis_status animation(cl_png_stream *s, const cl_png_chunk *chunk) {
    if (chunk->length < 8) return COULIS_OK;
    uint32_t frames = cl_big32(chunk->data);
    if (s->frame_count >= 0) s->frame_count = -1; /* a second one makes it an ordinary PNG */
    else if (frames != 0 && frames <= 0x80000000u) s->frame_count = frames;
    return COULIS_OK;
}

static coulis_status frame(cl_png_stream *s, const cl_png_chunk *chunk) {
    if (chunk->length < 26) return cl_png_fail(s, chunk, "a frame header cut short");
    const uint8_t *d = chunk->data;
    if ((int64_t)cl_big32(d) != s->sequence + 1) return cl_png_fail(s, chunk, "a frame out of sequence");
    s->sequence++;
    uint64_t width = cl_big32(d + 4), height = cl_big32(d + 8), left = cl_big32(d + 12), top = cl_big32(d + 16);
    if (left + width > s->width || top + height > s->height) return cl_png_fail(s, chunk, "a frame outside the image");
    s->has_frame = true;
    s->frame_left = left;
    s->frame_top = top;
    s->frame_right = left + width;
    s->frame_bottom = top + height;
    return COULIS_OK;
}

static coulis_status exif(cl_png_stream *s, const cl_png_chunk *chunk) {
    if (s->image->options->orient != COULIS_ORIENT_EXIF) return COULIS_OK;
    s->has_exif = true;
    s->exif_orientation = 0;
    cl_exif_orientation(chunk->data, chunk->length, &s->exif_orientation);
    return COULIS_OK;
}

static coulis_status content(cl_png_stream *s, const cl_png_chunk *chunk) {
    switch (chunk->id) {
    case CL_PNG_ID('I', 'H', 'D', 'R'): return header(s, chunk);
    case CL_PNG_ID('P', 'L', 'T', 'E'):
        if (s->mode == CL_PNG_PALETTE) {
            s->palette = chunk->data;
            s->palette_bytes = chunk->length;
        }
        return COULIS_OK;
    case CL_PNG_ID('t', 'R', 'N', 'S'): return transparency(s, chunk);
    case CL_PNG_ID('a', 'c', 'T', 'L'): return animation(s, chunk);
    case CL_PNG_fcTL: return frame(s, chunk);
    case CL_PNG_ID('e', 'X', 'I', 'f'): return exif(s, chunk);
    case CL_PNG_tEXt:
    case CL_PNG_zTXt:
    case CL_PNG_iTXt: return s->image->options->orient == COULIS_ORIENT_EXIF ? cl_png_text(s, chunk) : COULIS_OK;
    default: return COULIS_OK;
    }
}

/* The sequence number that an animation's data begin with. */
static coulis_status frame_data(cl_png_stream *s, const cl_png_chunk *chunk) {
    const cl_source *p = s->image;
    if (chunk->length < 4 || p->size - s->at < 4) return cl_png_fail(s, chunk, "frame data cut short");
    if ((int64_t)cl_big32(p->bytes + s->at) != s->sequence + 1 || s->sequence < 0)
        return cl_png_fail(s, chunk, "frame data out of sequence");
    s->sequence++;
    s->at += 4;
    return COULIS_OK;
}

cl_png_handled cl_png_handle(cl_png_stream *stream, cl_png_chunk *chunk, coulis_status *status) {
    const cl_source *p = stream->image;
    if (chunk->id == CL_PNG_IEND) return CL_PNG_END;
    if (chunk->id == CL_PNG_fdAT) {
        *status = frame_data(stream, chunk);
        if (*status) return CL_PNG_FAULT;
    }
    /* Before a valid header image data is like any unknown chunk. */
    if ((chunk->id == CL_PNG_IDAT || chunk->id == CL_PNG_fdAT) && stream->mode != CL_PNG_NONE) return CL_PNG_END;
    chunk->data = p->bytes + stream->at;
    if (!cl_png_skip(stream, chunk->length)) {
        *status = cl_png_fail(stream, chunk, "the file ends");
        return CL_PNG_FAULT;
    }
    *status = content(stream, chunk);
    return *status ? CL_PNG_FAULT : CL_PNG_READ;
}

int32_t cl_png_orientation(const cl_png_stream *s) {
    int32_t found = s->has_exif ? s->exif_orientation : s->has_profile ? s->profile_orientation : 0;
    if (!found) found = s->xmp_orientation;
    return found ? found : 1;
}
