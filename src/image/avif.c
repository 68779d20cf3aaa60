/* AVIF, by libavif: the first image of the file, as Pillow takes it. */
#include <errno.h>
#include <string.h>

#include <avif/avif.h>

#include "base/error.h"
#include "image/canvas.h"

/* EXIF's number for what the properties irot (quarter turns) and imir (mirror) say. */
static int32_t orientation(const avifImage *image) {
    bool mirrored = image->transformFlags & AVIF_TRANSFORM_IMIR, sideways = image->imir.mode == 1;
    uint8_t quarters = image->transformFlags & AVIF_TRANSFORM_IROT ? image->irot.angle & 3 : 0;
    if (!mirrored) return (const int32_t[]){1, 8, 3, 6}[quarters];
    return sideways ? (const int32_t[]){2, 7, 4, 5}[quarters] : (const int32_t[]){4, 5, 2, 7}[quarters];
}

static coulis_status fail(const cl_source *picture, const avifDecoder *decoder, avifResult result) {
    if (result == AVIF_RESULT_OUT_OF_MEMORY || errno == ENOMEM) return cl_source_fail_memory(picture);
    const char *more = decoder->diag.error;
    return cl_source_fail(picture, COULIS_UNREADABLE, "is a damaged AVIF: %s%s%s", avifResultToString(result),
                          *more ? ": " : "", more);
}

static void set_up(const cl_source *picture, avifDecoder *decoder) {
    int64_t pixels = picture->options->max_pixels;
    decoder->maxThreads = 1; /* the threads are coulis's: one image each */
    decoder->codecChoice = AVIF_CODEC_CHOICE_DAV1D;
    decoder->ignoreExif = decoder->ignoreXMP = AVIF_TRUE;
    /* Pillow reads files without these, too. */
    decoder->strictFlags &= ~(avifStrictFlags)(AVIF_STRICT_CLAP_VALID | AVIF_STRICT_PIXI_REQUIRED);
    if (pixels < AVIF_DEFAULT_IMAGE_SIZE_LIMIT) decoder->imageSizeLimit = (uint32_t)pixels;
    if (picture->options->truncated == COULIS_TRUNCATED_KEEP) decoder->allowIncremental = AVIF_TRUE;
}

static coulis_status decode(cl_source *picture, avifDecoder *decoder, cl_canvas **canvas) {
    avifResult result = avifDecoderSetIOMemory(decoder, picture->bytes, picture->size);
    if (!result) result = avifDecoderParse(decoder);
    if (result) return fail(picture, decoder, result);
    coulis_status status = cl_source_set_size(picture, decoder->image->width, decoder->image->height);
    if (status) return status;
    result = avifDecoderNextImage(decoder);
    if (result) return fail(picture, decoder, result);
    const avifImage *image = decoder->image;
    if (image->width != (uint32_t)picture->stored_width || image->height != (uint32_t)picture->stored_height) {
        return cl_source_fail(picture, COULIS_UNREADABLE, "is a damaged AVIF: its pixels are %u x %u", image->width,
                              image->height);
    }
    status = cl_canvas_create(picture, canvas);
    if (status) return status;
    avifRGBImage rgb;
    avifRGBImageSetDefaults(&rgb, image);
    rgb.depth = 8;
    rgb.format = AVIF_RGB_FORMAT_RGBA;
    rgb.ignoreAlpha = !decoder->alphaPresent;
    rgb.pixels = (*canvas)->pixels;
    rgb.rowBytes = (uint32_t)image->width * 4;
    result = avifImageYUVToRGB(image, &rgb);
    if (result) {
        cl_canvas_free(*canvas);
        return fail(picture, decoder, result);
    }
    size_t count = (size_t)image->width * image->height;
    for (size_t i = 0; i < count && rgb.ignoreAlpha; i++) (*canvas)->pixels[4 * i + 3] = 255;
    if (picture->options->orient == COULIS_ORIENT_EXIF) (*canvas)->base.orientation = orientation(image);
    return COULIS_OK;
}

static coulis_status open_once(cl_source *picture, cl_decoder **decoder) {
    errno = 0;
    avifDecoder *avif = avifDecoderCreate();
    if (!avif) return cl_source_fail_memory(picture);
    set_up(picture, avif);
    cl_canvas *canvas;
    coulis_status status = decode(picture, avif, &canvas);
    avifDecoderDestroy(avif);
    if (!status) *decoder = &canvas->base;
    return status;
}

/* Where dav1d is short of memory, libavif says that the file is damaged. So what fails is tried twice. */
coulis_status cl_avif_open(cl_source *picture, cl_decoder **decoder) {
    coulis_status status = open_once(picture, decoder);
    if (status == COULIS_UNREADABLE) {
        cl_clear(picture->error);
        status = open_once(picture, decoder);
    }
    if (status == COULIS_UNREADABLE && !cl_source_has_memory(picture)) return cl_source_fail_memory(picture);
    return status;
}
