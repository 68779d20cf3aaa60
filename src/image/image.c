#include "image/image.h"

#include <inttypes.h>

#include "base/sized.h"
#include "base/words.h"
#include "image/decoder.h"
#include "image/format.h"
#include "image/resize.h"

/* Twice Pillow's MAX_IMAGE_PIXELS, where its warning becomes an error. */
#define MAX_PIXELS 178956970
#define MAX_BYTES (INT64_C(1) << 30)
/* A side of the result, at most: what JPEG allows, far beyond what a network takes. */
#define MAX_SIDE 65535

static const coulis_image_options defaults = {.size = sizeof defaults,
                                              .resize = COULIS_RESIZE_AUTO,
                                              .orient = COULIS_ORIENT_EXIF,
                                              .alpha = COULIS_ALPHA_WHITE,
                                              .decode = COULIS_DECODE_EXACT,
                                              .max_bytes = MAX_BYTES,
                                              .max_pixels = MAX_PIXELS};

void coulis_image_options_init(coulis_image_options *options, size_t size) {
    cl_sized_init(options, size, &defaults, sizeof defaults);
}

void coulis_image_info_init(coulis_image_info *info, size_t size) {
    const coulis_image_info nothing = {.size = sizeof nothing};
    cl_sized_init(info, size, &nothing, sizeof nothing);
}

coulis_status cl_image_options_read(const coulis_image_options *given, coulis_image_options *own, coulis_error *error) {
    *own = defaults;
    coulis_status status = cl_sized_read(given, "coulis_image_options", own, sizeof *own, error);
    if (!status) status = cl_check_option("resize", own->resize, error);
    if (!status) status = cl_check_option("filter", own->filter, error);
    if (!status) status = cl_check_option("center", own->center, error);
    if (!status) status = cl_check_option("orient", own->orient, error);
    if (!status) status = cl_check_option("alpha", own->alpha, error);
    if (!status) status = cl_check_option("decode", own->decode, error);
    if (!status) status = cl_check_option("truncated", own->truncated, error);
    if (!status) status = cl_check_option("depth", own->depth, error);
    if (!status) status = cl_check_option("cmyk", own->cmyk, error);
    if (status) return status;
    if (own->resize_width < 0 || own->resize_width > MAX_SIDE || own->resize_height < 0 ||
        own->resize_height > MAX_SIDE || (own->resize_height > 0 && own->resize_width == 0))
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "resize_width and resize_height must be 0 to %d, and a height needs a width", MAX_SIDE);
    if (own->max_bytes < 1 || own->max_pixels < 1)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s must be at least 1",
                       own->max_bytes < 1 ? "max_bytes" : "max_pixels");
    return COULIS_OK;
}

static coulis_status check_arguments(int32_t width, int32_t height, const uint8_t *rgb, coulis_error *error) {
    if (!rgb) return cl_fail(error, COULIS_INVALID_ARGUMENT, "rgb is NULL: there is nowhere to put the image");
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE) {
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "cannot resize to %" PRId32 " x %" PRId32 ": width and height must be from 1 to %d", width,
                       height, MAX_SIDE);
    }
    return COULIS_OK;
}

static coulis_status open_decoder(cl_source *image, cl_decoder **decoder) {
    const cl_image_format *format = cl_format_of(image->bytes, image->size);
    if (format->open) return format->open(image, decoder);
    bool known = *format->name != '\0';
    return cl_source_fail(image, COULIS_UNSUPPORTED, "is not an image of a format that coulis reads%s%s%s",
                          known ? " (looks like " : "", format->name, known ? ")" : "");
}

static coulis_status resize_rows(const cl_source *image, cl_decoder *decoder, uint8_t *rgb) {
    const coulis_image_options *options = image->options;
    if (options->resize == COULIS_RESIZE_PUBLISHED && options->filter == COULIS_FILTER_PLAIN)
        return cl_plain_resize(image, decoder, rgb);
    cl_resizer *resizer;
    coulis_status status = cl_resizer_create(image, decoder, cl_resize_kernel_for(cl_cpu()), &resizer);
    if (status) return status;
    int32_t count;
    for (;;) {
        uint8_t *const *rows = cl_resizer_rows(resizer, &count);
        if (count == 0) break;
        status = decoder->rows(decoder, rows, count);
        if (status) break;
        cl_resizer_take(resizer);
    }
    if (!status) status = cl_decoder_finish(decoder);
    if (!status) cl_resizer_finish(resizer, rgb);
    cl_resizer_free(resizer);
    return status;
}

/* Turns the image upright and resizes it; closes `decoder`. */
static coulis_status finish_image(const cl_source *image, cl_decoder *decoder, uint8_t *rgb) {
    coulis_status status = COULIS_OK;
    if (decoder->orientation != 1) status = cl_orient(image, &decoder);
    if (!status) status = resize_rows(image, decoder, rgb);
    decoder->close(decoder);
    return status;
}

static coulis_status decode(cl_source *image, uint8_t *rgb) {
    if (image->size == 0) return cl_source_fail(image, COULIS_EMPTY, "is empty: it has no bytes");
    if (image->size > (uint64_t)image->options->max_bytes) {
        return cl_source_fail(image, COULIS_TOO_LARGE, "has %zu bytes, more than the limit of %" PRId64, image->size,
                              image->options->max_bytes);
    }
    cl_decoder *decoder;
    coulis_status status = open_decoder(image, &decoder);
    return status ? status : finish_image(image, decoder, rgb);
}

coulis_status cl_image_decode(const char *name, const uint8_t *bytes, size_t size, const coulis_image_options *options,
                              int32_t width, int32_t height, uint8_t *rgb, int32_t *stored_width,
                              int32_t *stored_height, coulis_error *error) {
    cl_clear(error);
    *stored_width = *stored_height = 0;
    coulis_status status = check_arguments(width, height, rgb, error);
    if (status) return status;
    if (!bytes && size) return cl_fail(error, COULIS_INVALID_ARGUMENT, "bytes is NULL, but size is %zu", size);

    cl_source image = {.bytes = bytes,
                       .size = size,
                       .name = name,
                       .options = options,
                       .width = width,
                       .height = height,
                       .error = error};
    status = decode(&image, rgb);
    *stored_width = image.stored_width;
    *stored_height = image.stored_height;
    return status;
}

coulis_status cl_image_from_pixels(const char *name, const coulis_pixels *pixels, const coulis_image_options *options,
                                   int32_t width, int32_t height, uint8_t *rgb, int32_t *stored_width,
                                   int32_t *stored_height, coulis_error *error) {
    cl_clear(error);
    cl_source image = {.name = name, .options = options, .width = width, .height = height, .error = error};
    cl_decoder *decoder;
    coulis_status status = cl_decoded_open(&image, pixels, &decoder);
    if (!status) status = finish_image(&image, decoder, rgb);
    *stored_width = image.stored_width;
    *stored_height = image.stored_height;
    return status;
}

static coulis_status put_info(coulis_image_info *info, int32_t width, int32_t height, coulis_status status,
                              coulis_error *error) {
    const coulis_image_info own = {.size = sizeof own, .width = width, .height = height};
    if (!info || cl_sized_write(info, &own, sizeof own)) return status;
    return cl_fail(error, COULIS_INVALID_ARGUMENT, "coulis_image_info: not set up; call coulis_image_info_init first");
}

coulis_status coulis_image_decode(const void *bytes, size_t size, const coulis_image_options *options, int32_t width,
                                  int32_t height, uint8_t *rgb, coulis_image_info *info, coulis_error *error) {
    coulis_image_options own;
    int32_t stored_width = 0, stored_height = 0;
    coulis_status status = cl_image_options_read(options, &own, error);
    if (!status)
        status = cl_image_decode(NULL, bytes, size, &own, width, height, rgb, &stored_width, &stored_height, error);
    return cl_done(put_info(info, stored_width, stored_height, status, error), error);
}

coulis_status coulis_image_load(const char *path, const coulis_image_options *options, int32_t width, int32_t height,
                                uint8_t *rgb, coulis_image_info *info, coulis_error *error) {
    coulis_image_options own;
    int32_t stored_width = 0, stored_height = 0;
    coulis_status status = cl_image_options_read(options, &own, error);
    if (!status && !path) status = cl_fail(error, COULIS_INVALID_ARGUMENT, "path is NULL: there is no file to read");
    if (!status) status = check_arguments(width, height, rgb, error);
    uint8_t *bytes = NULL;
    size_t size;
    if (!status) status = cl_image_read_file(path, own.max_bytes, &bytes, &size, NULL, error);
    if (!status)
        status = cl_image_decode(path, bytes, size, &own, width, height, rgb, &stored_width, &stored_height, error);
    cl_free(bytes);
    return cl_done(put_info(info, stored_width, stored_height, status, error), error);
}
