/* AVIF, by libavif: the first image of the file, as Pillow takes it. */
#include <errno.h>

#include <avif/avif.h>

#include "image/canvas.h"

/* EXIF's number for what the properties irot (quarter turns) and imir (mirror) say. */
static int32_t orientation(const avifImage *decoded) {
    bool mirrored = decoded->transformFlags & AVIF_TRANSFORM_IMIR, sideways = decoded->imir.mode == 1;
    uint8_t quarters = decoded->transformFlags & AVIF_TRANSFORM_IROT ? decoded->irot.angle & 3 : 0;
    if (!mirrored) return (const int32_t[]){1, 8, 3, 6}[quarters];
    return sideways ? (const int32_t[]){2, 7, 4, 5}[quarters] : (const int32_t[]){4, 5, 2, 7}[quarters];
}

static coulis_status fail(const cl_source *image, const avifDecoder *decoder, avifResult result) {
    if (result == AVIF_RESULT_OUT_OF_MEMORY || errno == ENOMEM) return cl_source_fail_memory(image);
    const char *more = decoder->diag.error;
    return cl_source_fail(image, COULIS_UNREADABLE, "is a damaged AVIF: %s%s%s", avifResultToString(result),
                          *more ? ": " : "", more);
}

static void set_up(const cl_source *image, avifDecoder *decoder) {
    int64_t pixels = image->options->max_pixels;
    decoder->maxThreads = 1; /* the threads are coulis's: one image each */
    decoder->codecChoice = AVIF_CODEC_CHOICE_DAV1D;
    decoder->ignoreExif = decoder->ignoreXMP = AVIF_TRUE;
    /* Pillow reads files without these, too. */
    decoder->strictFlags &= ~(avifStrictFlags)(AVIF_STRICT_CLAP_VALID | AVIF_STRICT_PIXI_REQUIRED);
    if (pixels < AVIF_DEFAULT_IMAGE_SIZE_LIMIT) decoder->imageSizeLimit = (uint32_t)pixels;
    if (image->options->truncated == COULIS_TRUNCATED_KEEP) decoder->allowIncremental = AVIF_TRUE;
}

static coulis_status decode(cl_source *image, avifDecoder *decoder, cl_canvas **canvas) {
    avifResult result = avifDecoderSetIOMemory(decoder, image->bytes, image->size);
    if (!result) result = avifDecoderParse(decoder);
    if (result) return fail(image, decoder, result);
    coulis_status status = cl_source_set_size(image, decoder->image->width, decoder->image->height);
    if (status) return status;
    result = avifDecoderNextImage(decoder);
    if (result) return fail(image, decoder, result);
    const avifImage *decoded = decoder->image;
    if (decoded->width != (uint32_t)image->stored_width || decoded->height != (uint32_t)image->stored_height) {
        return cl_source_fail(image, COULIS_UNREADABLE, "is a damaged AVIF: its pixels are %u x %u", decoded->width,
                              decoded->height);
    }
    status = cl_canvas_create(image, canvas);
    if (status) return status;
    avifRGBImage rgb;
    avifRGBImageSetDefaults(&rgb, decoded);
    rgb.depth = 8;
    rgb.format = AVIF_RGB_FORMAT_RGBA;
    rgb.ignoreAlpha = !decoder->alphaPresent;
    rgb.pixels = (*canvas)->pixels;
    rgb.rowBytes = (uint32_t)decoded->width * 4;
    result = avifImageYUVToRGB(decoded, &rgb);
    if (result) {
        cl_canvas_free(*canvas);
        return fail(image, decoder, result);
    }
    size_t count = (size_t)decoded->width * decoded->height;
    for (size_t i = 0; i < count && rgb.ignoreAlpha; i++) (*canvas)->pixels[4 * i + 3] = 255;
    if (image->options->orient == COULIS_ORIENT_EXIF) (*canvas)->base.orientation = orientation(decoded);
    return COULIS_OK;
}

static coulis_status open_once(cl_source *image, cl_decoder **decoder) {
    errno = 0;
    avifDecoder *avif = avifDecoderCreate();
    if (!avif) return cl_source_fail_memory(image);
    set_up(image, avif);
    cl_canvas *canvas;
    coulis_status status = decode(image, avif, &canvas);
    avifDecoderDestroy(avif);
    if (!status) *decoder = &canvas->base;
    return status;
}

/* Where dav1d is short of memory, libavif says that the file is damaged. So what fails is tried twice. */
coulis_status cl_avif_open(cl_source *image, cl_decoder **decoder) {
    coulis_status status = open_once(image, decoder);
    if (status == COULIS_UNREADABLE) {
        cl_clear(image->error);
        status = open_once(image, decoder);
    }
    if (status == COULIS_UNREADABLE && !cl_source_has_memory(image)) return cl_source_fail_memory(image);
    return status;
}
