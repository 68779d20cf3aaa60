/* JPEG 2000, by openjpeg, tile by tile as Pillow drives it. */
#include <errno.h>
#include <stdio.h>

#include <openjpeg.h>

#include "image/canvas.h"
#include "image/jp2_header.h"
#include "image/bytes.h"

/* What a stream hands to openjpeg at a time. */
#define PIECE (1 << 16)

typedef struct jp2 {
    cl_source *image;
    cl_jp2_header header;
    size_t at;
    char reason[200]; /* the first error that openjpeg told */
    opj_codec_t *codec;
    opj_stream_t *stream;
    opj_image_t *decoded;
    cl_canvas *canvas;
    uint8_t *tile;
    bool ycc;
} jp2;

static OPJ_SIZE_T read_some(void *to, OPJ_SIZE_T size, void *user) {
    jp2 *j = user;
    size_t left = j->image->size - j->at, count = size < left ? size : left;
    if (count == 0) return (OPJ_SIZE_T)-1;
    memcpy(to, j->image->bytes + j->at, count);
    j->at += count;
    return count;
}

static OPJ_OFF_T skip(OPJ_OFF_T count, void *user) {
    jp2 *j = user;
    size_t left = j->image->size - j->at;
    if (count < 0) return -1;
    j->at += (uint64_t)count < left ? (size_t)count : left;
    return count;
}

static OPJ_BOOL seek(OPJ_OFF_T at, void *user) {
    jp2 *j = user;
    if (at < 0 || (uint64_t)at > j->image->size) return OPJ_FALSE;
    j->at = (size_t)at;
    return OPJ_TRUE;
}

static void keep_reason(const char *message, void *user) {
    jp2 *j = user;
    if (j->reason[0]) return;
    snprintf(j->reason, sizeof j->reason, "%s", message);
    j->reason[strcspn(j->reason, "\r\n")] = '\0';
}

static void ignore(const char *message, void *user) { (void)message, (void)user; }

static coulis_status fail(const jp2 *j, const char *what) {
    if (errno == ENOMEM) return cl_source_fail_memory(j->image);
    return cl_source_fail(j->image, COULIS_UNREADABLE, "is a damaged JPEG 2000: %s", j->reason[0] ? j->reason : what);
}

/* Components as Pillow accepts them: as many as the header says, and not of different sizes in grey. */
static coulis_status check_components(jp2 *j) {
    const opj_image_t *decoded = j->decoded;
    uint32_t count = decoded->numcomps;
    int subsampled = -1;
    for (uint32_t n = 0; n < count; n++) {
        const opj_image_comp_t *c = &decoded->comps[n];
        if (c->prec < 1 || c->prec > 31 || c->dx < 1 || c->dy < 1) return fail(j, "a component of an impossible depth");
        if (subsampled < 0 && (c->dx != 1 || c->dy != 1)) subsampled = (int)n;
    }
    if (count != j->header.components) return fail(j, "its headers contradict each other");
    OPJ_COLOR_SPACE space = decoded->color_space;
    if (space == OPJ_CLRSPC_UNKNOWN) return fail(j, "an unknown colour space");
    if (space == OPJ_CLRSPC_UNSPECIFIED) {
        bool ycc = count >= 3 && (subsampled == 1 || subsampled == 2);
        space = count <= 2 ? OPJ_CLRSPC_GRAY : ycc ? OPJ_CLRSPC_SYCC : OPJ_CLRSPC_SRGB;
    }
    if (count <= 2 && subsampled >= 0) return fail(j, "grey of less than its full size");
    bool grey = space == OPJ_CLRSPC_GRAY, rgb = space == OPJ_CLRSPC_SRGB;
    j->ycc = space == OPJ_CLRSPC_SYCC;
    bool fits = count <= 2 ? (grey || (rgb && j->header.colors))
                           : (rgb || j->ycc || (count == 4 && j->header.cmyk && space == OPJ_CLRSPC_CMYK));
    return fits ? COULIS_OK : fail(j, "a colour space that does not fit its components");
}

static coulis_status start(jp2 *j) {
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    j->codec = opj_create_decompress(j->header.boxes ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
    j->stream = opj_stream_create(PIECE, OPJ_TRUE);
    if (!j->codec || !j->stream) return cl_source_fail_memory(j->image);
    opj_set_error_handler(j->codec, keep_reason, j);
    opj_set_warning_handler(j->codec, ignore, NULL);
    opj_set_info_handler(j->codec, ignore, NULL);
    opj_stream_set_user_data(j->stream, j, NULL);
    opj_stream_set_user_data_length(j->stream, j->image->size);
    opj_stream_set_read_function(j->stream, read_some);
    opj_stream_set_skip_function(j->stream, skip);
    opj_stream_set_seek_function(j->stream, seek);
    if (!opj_setup_decoder(j->codec, &parameters)) return fail(j, "it cannot be decoded");
    opj_decoder_set_strict_mode(j->codec, j->image->options->truncated == COULIS_TRUNCATED_REFUSE);
    if (!opj_read_header(j->stream, j->codec, &j->decoded)) return fail(j, "its header is invalid");
    coulis_status status = check_components(j);
    return status ? status : cl_canvas_create(j->image, &j->canvas);
}

/* A sample of `bytes` bytes, with a sign or not, to `depth` bits: the high ones, or filled up with zeros. */
static uint32_t sample(const uint8_t *from, uint32_t bytes, const opj_image_comp_t *c, uint32_t depth) {
    uint16_t half;
    uint32_t value = *from;
    if (bytes == 2) {
        memcpy(&half, from, sizeof half);
        value = half;
    } else if (bytes == 4) {
        memcpy(&value, from, sizeof value);
    }
    if (c->sgnd) value += 1u << (c->prec - 1);
    if (c->prec <= depth) return value << (depth - c->prec);
    return (value + (1u << (c->prec - depth - 1))) >> (c->prec - depth);
}

static uint8_t narrow(const jp2 *j, uint32_t value, uint32_t precision) {
    value &= 0xFFFF;
    if (j->image->options->depth == COULIS_DEPTH_PILLOW) return value > 255 ? 255 : (uint8_t)value;
    uint32_t most = precision < 16 ? ((1u << precision) - 1) << (16 - precision) : 0xFFFF;
    value = (value * 255 + most / 2) / most;
    return value > 255 ? 255 : (uint8_t)value;
}

typedef struct area {
    int32_t left, top, right, bottom; /* on the reference grid */
} area;

static uint32_t divided_up(int32_t a, uint32_t b) { return (uint32_t)(((uint64_t)a + b - 1) / b); }

/* Copies component `n` of a tile, which begins at `from`, to byte `to` of its pixels. Returns its length in bytes. */
static size_t place_component(const jp2 *j, uint32_t n, const area *t, const uint8_t *from, size_t left, size_t to) {
    const opj_image_comp_t *c = &j->decoded->comps[n];
    uint32_t bytes = (c->prec + 7) / 8 == 3 ? 4 : (c->prec + 7) / 8, first_x = divided_up(t->left, c->dx),
             first_y = divided_up(t->top, c->dy);
    size_t columns = divided_up(t->right, c->dx) - first_x, rows = divided_up(t->bottom, c->dy) - first_y;
    if (columns == 0 || rows == 0 || left / bytes / columns < rows) return SIZE_MAX;
    size_t width = (size_t)j->canvas->base.width;
    int32_t origin_x = (int32_t)j->decoded->x0, origin_y = (int32_t)j->decoded->y0;
    for (int32_t y = t->top; y < t->bottom; y++) {
        size_t row = (size_t)(y - t->top) / c->dy;
        uint8_t *pixel = j->canvas->pixels + ((size_t)(y - origin_y) * width + (size_t)(t->left - origin_x)) * 4 + to;
        const uint8_t *samples = from + (row < rows ? row : rows - 1) * columns * bytes;
        for (int32_t x = 0; x < t->right - t->left; x++, pixel += 4) {
            size_t column = (size_t)x / c->dx;
            const uint8_t *at = samples + (column < columns ? column : columns - 1) * bytes;
            *pixel = j->header.wide ? narrow(j, sample(at, bytes, c, 16), c->prec) : (uint8_t)sample(at, bytes, c, 8);
        }
    }
    return columns * rows * bytes;
}

static coulis_status read_tile(jp2 *j, uint32_t index, uint32_t size, const area *t) {
    cl_free(j->tile);
    j->tile = cl_alloc(size ? size : 1, 1);
    if (!j->tile) return cl_source_fail_memory(j->image);
    if (!opj_decode_tile_data(j->codec, index, j->tile, size, j->stream)) return fail(j, "a tile is invalid");
    size_t at = 0;
    for (uint32_t n = 0; n < j->decoded->numcomps; n++) {
        bool alpha = j->decoded->numcomps == 2 && n == 1;
        size_t used = place_component(j, n, t, j->tile + at, size - at, alpha ? 3 : n);
        if (used == SIZE_MAX) return fail(j, "a tile is smaller than its pixels");
        at += used;
    }
    return COULIS_OK;
}

static coulis_status read_tiles(jp2 *j) {
    for (;;) {
        OPJ_UINT32 index, size, components;
        OPJ_BOOL more;
        area t;
        if (!opj_read_tile_header(j->codec, j->stream, &index, &size, &t.left, &t.top, &t.right, &t.bottom, &components,
                                  &more)) {
            return fail(j, "the header of a tile is invalid");
        }
        if (!more) break;
        int64_t left = j->decoded->x0, top = j->decoded->y0;
        if (t.left >= t.right || t.top >= t.bottom || t.left < left || t.top < top ||
            t.right - left > j->canvas->base.width || t.bottom - top > j->canvas->base.height ||
            components != j->decoded->numcomps) {
            return fail(j, "a tile outside the image");
        }
        coulis_status status = read_tile(j, index, size, &t);
        if (status) return status;
    }
    if (j->image->options->truncated == COULIS_TRUNCATED_KEEP || opj_end_decompress(j->codec, j->stream))
        return COULIS_OK;
    return fail(j, "it is cut short");
}

static void convert(const jp2 *j) {
    size_t count = (size_t)j->canvas->base.width * (size_t)j->canvas->base.height;
    uint32_t components = j->header.components;
    uint8_t *p = j->canvas->pixels;
    for (size_t i = 0; i < count; i++, p += 4) {
        uint8_t alpha = components == 2 || components == 4 ? p[3] : 255;
        if (j->header.colors) {
            uint8_t own = j->header.palette[p[0]][3];
            memcpy(p, j->header.palette[p[0]], 3);
            if (components == 1) alpha = own;
        } else if (components <= 2) {
            p[1] = p[2] = p[0];
        } else if (j->header.cmyk && components == 4) {
            uint8_t white = (uint8_t)(255 - p[3]);
            for (int k = 0; k < 3; k++) p[k] = (uint8_t)(white - cl_multiply_255(p[k], white));
            alpha = 255;
        } else if (j->ycc) {
            cl_ycc_to_rgb(p);
        }
        p[3] = alpha;
    }
}

static coulis_status open_once(cl_source *image, const cl_jp2_header *header, cl_decoder **decoder) {
    jp2 j = {.image = image, .header = *header};
    errno = 0;
    coulis_status status = start(&j);
    if (!status) status = read_tiles(&j);
    if (!status) convert(&j);
    if (j.codec) opj_destroy_codec(j.codec);
    if (j.stream) opj_stream_destroy(j.stream);
    if (j.decoded) opj_image_destroy(j.decoded);
    cl_free(j.tile);
    if (status) cl_canvas_free(j.canvas);
    else *decoder = &j.canvas->base;
    return status;
}

/* openjpeg does not always say that memory was short, so what fails is tried twice. */
coulis_status cl_jp2_open(cl_source *image, cl_decoder **decoder) {
    cl_jp2_header header;
    coulis_status status = cl_jp2_read_header(image, &header);
    if (!status) status = cl_source_set_size(image, header.width, header.height);
    if (status) return status;
    status = open_once(image, &header, decoder);
    if (status == COULIS_UNREADABLE) {
        cl_clear(image->error);
        status = open_once(image, &header, decoder);
    }
    if (status == COULIS_UNREADABLE && !cl_source_has_memory(image)) return cl_source_fail_memory(image);
    return status;
}
