/* What the decoder makes of bytes: an image, or a status and a sentence. Shared by fuzz_image.c and readers.h. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coulis.h"

/* Enough for every row that a decoder has, little enough for many tries a second. */
#define PIXELS_MAX (1 << 22)
#define UNTOUCHED 0xA5

static void image_must(int condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "not true: %s\n", what);
    abort();
}

static void image_try_as(const uint8_t *data, size_t size, int32_t width, int32_t height, int32_t resize,
                         int32_t orient, int32_t alpha, int32_t decode, int32_t truncated, int32_t depth) {
    size_t count = (size_t)width * (size_t)height * 3;
    uint8_t *rgb = malloc(count);
    image_must(rgb != NULL, "memory for the result");
    memset(rgb, UNTOUCHED, count);
    coulis_image_options options;
    coulis_image_options_init(&options, sizeof options);
    options.resize = resize;
    options.orient = orient;
    options.alpha = alpha;
    options.decode = decode;
    options.truncated = truncated;
    options.depth = depth;
    options.max_pixels = PIXELS_MAX;
    coulis_error error;
    coulis_image_info info;
    coulis_image_info_init(&info, sizeof info);
    coulis_status status = coulis_image_decode(data, size, &options, width, height, rgb, &info, &error);
    image_must(error.status == (int32_t)status, "the error has the status that is returned");
    image_must((error.message[0] == '\0') == (status == COULIS_OK), "a failure has a sentence, a success none");
    if (status == COULIS_OK) {
        image_must(info.width > 0 && info.height > 0, "a decoded image has a size");
        image_must((int64_t)info.width * info.height <= PIXELS_MAX, "the limit of pixels is kept");
    } else {
        image_must(status <= COULIS_MISSING || status == COULIS_NO_MEMORY, "an image fails as an image");
        for (size_t i = 0; i < count; i++) image_must(rgb[i] == UNTOUCHED, "a failure leaves the result untouched");
    }
    free(rgb);
}

static void image_try(const uint8_t *data, size_t size) {
    image_try_as(data, size, 32, 32, COULIS_RESIZE_SQUASH, COULIS_ORIENT_IGNORE, COULIS_ALPHA_DROP, COULIS_DECODE_EXACT,
                 COULIS_TRUNCATED_REFUSE, COULIS_DEPTH_PILLOW);
    image_try_as(data, size, 7, 61, COULIS_RESIZE_CROP, COULIS_ORIENT_EXIF, COULIS_ALPHA_WHITE, COULIS_DECODE_EXACT,
                 COULIS_TRUNCATED_KEEP, COULIS_DEPTH_SCALE);
    image_try_as(data, size, 5, 3, COULIS_RESIZE_CROP, COULIS_ORIENT_EXIF, COULIS_ALPHA_DROP, COULIS_DECODE_FAST,
                 COULIS_TRUNCATED_KEEP, COULIS_DEPTH_PILLOW);
}
