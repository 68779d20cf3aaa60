/* A decoder gives the rows of one image, top to bottom, as the caller asks for them. */
#pragma once

#include "image/source.h"

/* Edges, in pixels. */
typedef struct cl_box {
    double left, top, right, bottom;
} cl_box;

typedef struct cl_decoder cl_decoder;
struct cl_decoder {
    int32_t width, height;
    /* Where among these pixels the image lies: all of them, but when it is decoded at a fraction of its size,
     * which rounds its sides up, the last column and row are partly beyond it. */
    cl_box box;
    int32_t orientation; /* EXIF's 1 to 8; 1 unless options.orient is COULIS_ORIENT_EXIF */

    /* Writes the next `count` rows: red, green, blue and one byte of no meaning for each
     * pixel. What is transparent has been dealt with as options.alpha says. */
    coulis_status (*rows)(cl_decoder *decoder, uint8_t *const *rows, int32_t count);
    /* After the last row: what remains in the file and decides whether the image is refused; NULL: nothing. */
    coulis_status (*finish)(cl_decoder *decoder);
    void (*close)(cl_decoder *decoder);
};

/* An upright one of all pixels, as many as are stored. */
static inline cl_decoder cl_decoder_of(const cl_source *image,
                                       coulis_status (*rows)(cl_decoder *decoder, uint8_t *const *rows, int32_t count),
                                       void (*close)(cl_decoder *decoder)) {
    const int32_t width = image->stored_width, height = image->stored_height;
    return (cl_decoder){width, height, {0, 0, width, height}, 1, rows, NULL, close};
}
static inline coulis_status cl_decoder_finish(cl_decoder *decoder) {
    return decoder->finish ? decoder->finish(decoder) : COULIS_OK;
}

/* Each reads the header of an image of its format. On failure there is nothing to close. */
coulis_status cl_jpeg_open(cl_source *image, cl_decoder **decoder);
coulis_status cl_png_open(cl_source *image, cl_decoder **decoder);
coulis_status cl_webp_open(cl_source *image, cl_decoder **decoder);
coulis_status cl_gif_open(cl_source *image, cl_decoder **decoder);
coulis_status cl_bmp_open(cl_source *image, cl_decoder **decoder);
coulis_status cl_tiff_open(cl_source *image, cl_decoder **decoder);
coulis_status cl_avif_open(cl_source *image, cl_decoder **decoder);
coulis_status cl_jp2_open(cl_source *image, cl_decoder **decoder);
coulis_status cl_heif_open(cl_source *image, cl_decoder **decoder);
coulis_status cl_heif_or_avif_open(cl_source *image, cl_decoder **decoder);
coulis_status cl_jxl_open(cl_source *image, cl_decoder **decoder);
coulis_status cl_raw_open(cl_source *image, cl_decoder **decoder);

/* A decoder over `pixels`, whose bytes must outlive it. Refuses what a header could claim, too: no side may be 0, and
 * there may not be more pixels than the source's options allow. */
coulis_status cl_decoded_open(cl_source *image, const coulis_pixels *pixels, cl_decoder **decoder);

/* Puts a decoder before *decoder that gives the rows of the image turned upright, as its EXIF orientation says, and
 * owns it. It holds the whole image. On failure *decoder is as it was. */
coulis_status cl_orient(const cl_source *image, cl_decoder **decoder);

/* Resizes without antialiasing, COULIS_FILTER_PLAIN: reads all rows and writes the wanted height x width x 3 bytes. */
coulis_status cl_plain_resize(const cl_source *image, cl_decoder *decoder, uint8_t *rgb);
