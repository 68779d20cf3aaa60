#include "image/decoder.h"

#include <inttypes.h>

#include "image/bytes.h"

typedef struct decoded {
    cl_decoder base;
    coulis_pixels pixels;
    int32_t row; /* the next one to hand out */
    int32_t alpha;
} decoded;

static void spread(uint8_t *to, const uint8_t *from, size_t width, int32_t channels) {
    for (size_t x = 0; x < width; x++, from += channels, to += 4) {
        to[0] = from[0];
        to[1] = from[channels == 1 ? 0 : 1];
        to[2] = from[channels == 1 ? 0 : 2];
        to[3] = 255;
    }
}

static coulis_status read_rows(cl_decoder *decoder, uint8_t *const *rows, int32_t count) {
    decoded *d = (decoded *)decoder;
    const size_t width = (size_t)d->base.width, stride = width * (size_t)d->pixels.channels;
    for (int32_t i = 0; i < count; i++, d->row++) {
        const uint8_t *from = d->pixels.pixels + (size_t)d->row * stride;
        if (d->pixels.channels < 4) {
            spread(rows[i], from, width, d->pixels.channels);
            continue;
        }
        memcpy(rows[i], from, stride);
        if (d->alpha == COULIS_ALPHA_WHITE) cl_row_over_white(rows[i], width);
    }
    return COULIS_OK;
}

static void close_decoded(cl_decoder *decoder) { cl_free(decoder); }

coulis_status cl_decoded_open(cl_source *image, const coulis_pixels *pixels, cl_decoder **decoder) {
    const int32_t channels = pixels->channels, orientation = pixels->orientation;
    if (pixels->width < 0 || pixels->height < 0 || (channels != 1 && channels != 3 && channels != 4))
        return cl_fail(image->error, COULIS_INVALID_ARGUMENT,
                       "coulis_pixels: %" PRId32 " x %" PRId32 " with %" PRId32
                       " channels: sides must be at least 0, channels 1, 3 or 4",
                       pixels->width, pixels->height, channels);
    if (orientation < 0 || orientation > 8)
        return cl_fail(image->error, COULIS_INVALID_ARGUMENT, "coulis_pixels: orientation must be 0 to 8, not %" PRId32,
                       orientation);
    coulis_status status = cl_source_set_size(image, (uint64_t)pixels->width, (uint64_t)pixels->height);
    if (status) return status;
    if (!pixels->pixels) return cl_fail(image->error, COULIS_INVALID_ARGUMENT, "coulis_pixels: pixels is NULL");
    decoded *d = cl_alloc_zero(1, sizeof *d);
    if (!d) return cl_source_fail_memory(image);
    const bool turned = orientation > 1 && image->options->orient == COULIS_ORIENT_EXIF;
    d->base = cl_decoder_of(image, read_rows, close_decoded);
    if (turned) d->base.orientation = orientation;
    d->pixels = *pixels;
    d->alpha = image->options->alpha;
    *decoder = &d->base;
    return COULIS_OK;
}
