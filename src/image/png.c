/* PNG on zlib alone, feeding it as Pillow does, so that pixels cut short are refused where Pillow refuses them. */
#include <zlib.h>

#include "image/decoder.h"
#include "image/png_chunks.h"
#include "image/png_rows.h"
#include "image/zlib_memory.h"

/* Bytes of a data chunk handed to zlib at a time. */
#define PIECE 65536

typedef struct png {
    cl_decoder base;
    cl_png_stream stream;
    cl_png_colors colors;
    bool animated;
    const uint8_t *palette; /* of before the data: a later one counts for nothing */
    uint32_t palette_bytes;
    uint32_t left, top, columns, rows; /* the part of the image that the data fill */
    uint32_t in_chunk;                 /* bytes of the current data chunk not read yet */
    z_stream z;
    bool inflating;
    bool at_end;                 /* the data ended, orderly, before the last row; */
    bool cut;                    /* or not, but the rows that are there are wanted */
    uint32_t row;                /* the image's next row */
    size_t row_bytes;            /* of one packed row */
    uint8_t *current, *previous; /* packed rows, with the filter's byte before */
    uint8_t *pixels;             /* unpacked: one row, or the whole interlaced image */
} png;

static coulis_status fail_truncated(const png *p) {
    return cl_source_fail(p->stream.image, COULIS_UNREADABLE,
                          "is a PNG cut short: its data end at byte %zu, at row %u of %d", p->stream.at, p->row,
                          p->base.height);
}

/* Hands the next piece of data to zlib, going on to the next data chunk when one is used up. */
static coulis_status more_input(png *p) {
    cl_png_stream *s = &p->stream;
    while (p->in_chunk == 0) {
        cl_png_chunk chunk;
        cl_png_skip(s, 4); /* checksums of data are not compared; zlib has its own */
        cl_png_next next = cl_png_next_chunk(s, &chunk);
        if (next == CL_PNG_BAD_ID) {
            return cl_source_fail(s->image, COULIS_UNREADABLE, "is a damaged PNG: no chunk begins at byte %zu",
                                  chunk.start);
        }
        if (next == CL_PNG_NO_MORE) return fail_truncated(p);
        if (chunk.id != CL_PNG_IDAT && chunk.id != CL_PNG_DDAT && chunk.id != CL_PNG_fdAT) return fail_truncated(p);
        p->in_chunk = chunk.length;
        if (chunk.id == CL_PNG_fdAT) {
            coulis_status status;
            if (cl_png_handle(s, &chunk, &status) == CL_PNG_FAULT) return status;
            p->in_chunk -= 4;
        }
    }
    uint32_t piece = p->in_chunk < PIECE ? p->in_chunk : PIECE;
    p->in_chunk -= piece;
    size_t start = s->at;
    cl_png_skip(s, piece);
    if (s->at == start) return fail_truncated(p);
    p->z.next_in = (Bytef *)(uintptr_t)(s->image->bytes + start);
    p->z.avail_in = (uInt)(s->at - start);
    return COULIS_OK;
}

/* Inflates one packed row of `size` bytes into p->current and undoes its filter. */
static coulis_status next_packed_row(png *p, size_t size) {
    const cl_source *image = p->stream.image;
    size_t have = 0;
    int result = Z_OK;
    while (have < size + 1) {
        if (p->z.avail_in == 0) {
            coulis_status status = more_input(p);
            if (status) return status;
        }
        p->z.next_out = p->current + have;
        p->z.avail_out = (uInt)(size + 1 - have);
        result = inflate(&p->z, Z_NO_FLUSH);
        if (result == Z_MEM_ERROR) return cl_source_fail_memory(image);
        if (result < 0) {
            return cl_source_fail(image, COULIS_UNREADABLE, "is a damaged PNG: %s, before byte %zu, at row %u",
                                  p->z.msg ? p->z.msg : "its data are invalid", p->stream.at, p->row);
        }
        have = size + 1 - p->z.avail_out;
        if (have < size + 1) p->z.avail_in = 0; /* zlib has all of it, or wants none */
    }
    if (!cl_png_unfilter(p->current[0], p->current + 1, p->previous + 1, size, (cl_png_bits(&p->stream) + 7) / 8)) {
        return cl_source_fail(image, COULIS_UNREADABLE,
                              "is a damaged PNG: unknown filter %u, before byte %zu, at row %u", p->current[0],
                              p->stream.at, p->row);
    }
    p->at_end = result == Z_STREAM_END;
    return COULIS_OK;
}

/* Whether the rows before a fault are wanted without the rest, which then counts as ended. */
static bool keeps(png *p, coulis_status status) {
    const cl_source *image = p->stream.image;
    if (status != COULIS_UNREADABLE || image->options->truncated != COULIS_TRUNCATED_KEEP) return false;
    cl_clear(image->error);
    p->at_end = p->cut = true;
    return true;
}

static void swap_rows(png *p) {
    uint8_t *row = p->current;
    p->current = p->previous;
    p->previous = row;
}

/* The next row of the image, unpacked, in p->pixels. */
static coulis_status next_row(png *p) {
    size_t pixel = cl_png_pixel_bytes(p->colors.mode);
    bool has_data = p->row >= p->top && p->row - p->top < p->rows && !p->at_end;
    if (p->columns < (uint32_t)p->base.width || !has_data) memset(p->pixels, 0, (size_t)p->base.width * pixel);
    if (!has_data) return COULIS_OK;
    coulis_status status = next_packed_row(p, p->row_bytes);
    if (status && !keeps(p, status)) return status;
    if (status) memset(p->pixels, 0, (size_t)p->base.width * pixel);
    if (status) return COULIS_OK;
    cl_png_unpack(&p->stream, p->current + 1, p->pixels + p->left * pixel, p->columns);
    swap_rows(p);
    return COULIS_OK;
}

static coulis_status read_rows(cl_decoder *decoder, uint8_t *const *rows, int32_t count) {
    png *p = (png *)decoder;
    size_t width = (size_t)p->base.width;
    for (int32_t i = 0; i < count; i++, p->row++) {
        const uint8_t *pixels = p->pixels;
        if (p->stream.interlaced) {
            pixels += p->row * width * cl_png_pixel_bytes(p->colors.mode);
        } else {
            coulis_status status = next_row(p);
            if (status) return status;
        }
        cl_png_to_rgb(&p->colors, pixels, rows[i], width);
    }
    return COULIS_OK;
}

/* One row of a pass: every `step`-th pixel from `column` on. */
static void spread_row(png *p, uint32_t column, uint32_t step, size_t count, uint8_t *scratch) {
    size_t pixel = cl_png_pixel_bytes(p->colors.mode);
    cl_png_unpack(&p->stream, p->current + 1, scratch, count);
    uint8_t *to = p->pixels + ((size_t)p->row * (size_t)p->base.width + column) * pixel;
    for (size_t i = 0; i < count; i++, to += step * pixel, scratch += pixel) memcpy(to, scratch, pixel);
}

/* Decodes an interlaced (Adam7) image whole. */
static coulis_status read_passes(png *p) {
    static const uint8_t first_column[7] = {0, 4, 0, 2, 0, 1, 0}, first_row[7] = {0, 0, 4, 0, 2, 0, 1};
    static const uint8_t column_step[7] = {8, 8, 4, 4, 2, 2, 1}, row_step[7] = {8, 8, 8, 4, 4, 2, 2};
    uint8_t *scratch = cl_alloc(p->columns, 4);
    if (!scratch) return cl_source_fail_memory(p->stream.image);
    coulis_status status = COULIS_OK;
    for (int pass = 0; pass < 7 && !status && !p->at_end; pass++) {
        if (p->columns <= first_column[pass]) continue;
        size_t count = (p->columns - first_column[pass] + column_step[pass] - 1u) / column_step[pass];
        size_t size = (count * cl_png_bits(&p->stream) + 7) / 8;
        memset(p->previous, 0, p->row_bytes + 1);
        for (p->row = first_row[pass]; p->row < p->rows && !p->at_end; p->row += row_step[pass]) {
            status = next_packed_row(p, size);
            if (status) break;
            spread_row(p, first_column[pass], column_step[pass], count, scratch);
            swap_rows(p);
        }
    }
    p->row = 0;
    cl_free(scratch);
    return status && keeps(p, status) ? COULIS_OK : status;
}

/* Chunks after the data. */
static coulis_status read_to_end(cl_png_stream *s, uint32_t in_chunk, bool animated) {
    cl_png_skip(s, in_chunk);
    for (;;) {
        cl_png_chunk chunk;
        cl_png_skip(s, 4);
        if (cl_png_next_chunk(s, &chunk) != CL_PNG_CHUNK || chunk.id == CL_PNG_IEND) return COULIS_OK;
        if (chunk.id == CL_PNG_fcTL && animated) return COULIS_OK; /* the next frame begins */
        coulis_status status;
        cl_png_handled handled = cl_png_handle(s, &chunk, &status);
        if (handled == CL_PNG_FAULT) return status;
        uint32_t unread = handled == CL_PNG_END ? chunk.length - (chunk.id == CL_PNG_fdAT ? 4 : 0) : 0;
        if (!cl_png_skip(s, unread)) return cl_png_fail(s, &chunk, "the file ends");
    }
}

/* What follows the last row cannot change it. */
static coulis_status finish(cl_decoder *decoder) {
    (void)decoder;
    return COULIS_OK;
}

static void close_png(cl_decoder *decoder) {
    png *p = (png *)decoder;
    if (p->inflating) inflateEnd(&p->z);
    cl_free(p->current);
    cl_free(p->previous);
    cl_free(p->pixels);
    cl_free(p);
}

/* Reads chunks up to the image's data; *data is that chunk. */
static coulis_status read_header(cl_png_stream *s, cl_png_chunk *data) {
    for (;;) {
        cl_png_next next = cl_png_next_chunk(s, data);
        if (next != CL_PNG_CHUNK) {
            return cl_source_fail(s->image, COULIS_UNREADABLE, "is a damaged PNG: %s at byte %zu",
                                  next == CL_PNG_NO_MORE ? "it ends before any image data" : "no chunk begins",
                                  data->start);
        }
        coulis_status status = COULIS_OK;
        cl_png_handled handled = cl_png_handle(s, data, &status);
        if (s->width && s->width <= INT32_MAX && s->height && s->height <= INT32_MAX) {
            s->image->stored_width = (int32_t)s->width;
            s->image->stored_height = (int32_t)s->height;
        }
        if (handled == CL_PNG_END && data->id != CL_PNG_IEND) return COULIS_OK;
        if (handled == CL_PNG_END) return cl_png_fail(s, data, "no image data before the end");
        bool critical = !(data->id & 0x20000000); /* a capital letter first */
        if (handled == CL_PNG_READ && critical) status = cl_png_check_crc(s, data);
        else if (handled == CL_PNG_READ) cl_png_skip(s, 4);
        if (status) return status;
    }
}

/* Transparency and EXIF may also stand after the data. What they say is needed before the first row; where a chunk
 * there is not sound, the rest counts as absent. */
static coulis_status look_ahead(png *p, cl_png_stream *ahead) {
    coulis_error *error = ahead->image->error;
    ahead->image->error = NULL;
    coulis_status status = read_to_end(ahead, p->in_chunk, p->animated);
    ahead->image->error = error;
    return status == COULIS_NO_MEMORY ? cl_source_fail_memory(ahead->image) : COULIS_OK;
}

static void choose_colors(png *p, const cl_png_stream *s) {
    cl_png_colors *c = &p->colors;
    c->mode = s->mode;
    c->white = s->image->options->alpha == COULIS_ALPHA_WHITE;
    c->scale = s->image->options->depth == COULIS_DEPTH_SCALE;
    c->wide_key = s->color_key[0];
    for (uint32_t i = 0; i < 256; i++) {
        /* Entries that the file does not have are black. */
        if (3 * i + 3 <= p->palette_bytes) memcpy(c->palette[i], p->palette + 3 * i, 3);
        c->palette[i][3] = i < s->alpha_count ? s->alphas[i] : 255;
    }
    c->has_color_key = s->has_color_key && s->mode != CL_PNG_PALETTE;
    /* Pillow compares the low bytes, whatever the depth. */
    for (int i = 0; i < 3; i++) c->color_key[i] = (uint8_t)s->color_key[i];
}

static coulis_status init_memory(png *p) {
    cl_source *image = p->stream.image;
    p->row_bytes = (size_t)(((uint64_t)p->columns * cl_png_bits(&p->stream) + 7) / 8);
    if (p->row_bytes >= INT32_MAX) { /* zlib counts in 32 bits; only with a raised limit of pixels */
        return cl_source_fail(image, COULIS_TOO_LARGE, "is a PNG with rows of %zu bytes, more than 2 GiB",
                              p->row_bytes);
    }
    p->current = cl_alloc_zero(p->row_bytes + 1, 1);
    p->previous = cl_alloc_zero(p->row_bytes + 1, 1);
    size_t rows = p->stream.interlaced ? (size_t)p->base.height : 1;
    p->pixels = cl_alloc_zero((size_t)p->base.width * rows, cl_png_pixel_bytes(p->colors.mode));
    if (!p->current || !p->previous || !p->pixels) return cl_source_fail_memory(image);
    p->z.zalloc = cl_zlib_alloc;
    p->z.zfree = cl_zlib_free;
    if (inflateInit(&p->z) != Z_OK) return cl_source_fail_memory(image);
    p->inflating = true;
    return p->stream.interlaced ? read_passes(p) : COULIS_OK;
}

static coulis_status start(png *p) {
    cl_png_stream *s = &p->stream;
    cl_png_chunk data;
    coulis_status status = read_header(s, &data);
    if (!status) status = cl_source_set_size(s->image, s->width, s->height);
    if (status) return status;
    p->base.width = s->image->stored_width;
    p->base.height = s->image->stored_height;
    p->base.box = (cl_box){0, 0, p->base.width, p->base.height};
    p->in_chunk = data.length - (data.id == CL_PNG_fdAT ? 4 : 0);
    p->palette = s->palette;
    p->palette_bytes = s->palette_bytes;
    p->columns = s->width;
    p->rows = s->height;
    if (s->has_frame) {
        if (s->frame_left >= s->frame_right || s->frame_top >= s->frame_bottom || s->frame_right > s->width ||
            s->frame_bottom > s->height) {
            return cl_source_fail(s->image, COULIS_UNREADABLE, "is a damaged PNG: its first frame has no pixels");
        }
        p->left = (uint32_t)s->frame_left;
        p->top = (uint32_t)s->frame_top;
        p->columns = (uint32_t)(s->frame_right - s->frame_left);
        p->rows = (uint32_t)(s->frame_bottom - s->frame_top);
    }
    /* An image before the first frame counts as one more. */
    p->animated = s->frame_count >= 0 && s->frame_count + (s->has_frame ? 0 : 1) > 1;

    cl_png_stream ahead = *s;
    const coulis_image_options *options = s->image->options;
    if (options->alpha == COULIS_ALPHA_WHITE || options->orient == COULIS_ORIENT_EXIF) status = look_ahead(p, &ahead);
    if (status) return status;
    p->base.orientation = cl_png_orientation(&ahead);
    ahead.mode = s->mode;
    choose_colors(p, &ahead);
    return init_memory(p);
}

coulis_status cl_png_open(cl_source *image, cl_decoder **decoder) {
    png *p = cl_alloc_zero(1, sizeof *p);
    if (!p) return cl_source_fail_memory(image);
    p->base = (cl_decoder){.rows = read_rows, .finish = finish, .close = close_png};
    cl_png_stream_init(&p->stream, image);
    coulis_status status = start(p);
    if (status) close_png(&p->base);
    else *decoder = &p->base;
    return status;
}
