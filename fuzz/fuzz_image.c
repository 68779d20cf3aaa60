/* Throws bytes at the picture decoder.
 *
 * As a libFuzzer target:   clang -fsanitize=fuzzer,address,undefined ... fuzz_image.c
 * To replay files:         cc -fsanitize=address,undefined -DCOULIS_FUZZ_MAIN ... fuzz_image.c
 *                          ./fuzz_image FILE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coulis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Enough for every row that a decoder has, little enough for many tries a second. */
#define PIXELS_MAX (1 << 22)
#define UNTOUCHED 0xA5

static void must(int condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "fuzz_image: not true: %s\n", what);
    abort();
}

static void try_options(const uint8_t *data, size_t size, int32_t width, int32_t height, int32_t resize,
                        int32_t orient, int32_t alpha, int32_t decode, int32_t truncated, int32_t depth) {
    size_t count = (size_t)width * (size_t)height * 3;
    uint8_t *rgb = malloc(count);
    must(rgb != NULL, "memory for the result");
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
    must(error.status == (int32_t)status, "the error has the status that is returned");
    must((error.message[0] == '\0') == (status == COULIS_OK), "a failure has a sentence, a success none");
    if (status == COULIS_OK) {
        must(info.width > 0 && info.height > 0, "a decoded picture has a size");
        must((int64_t)info.width * info.height <= PIXELS_MAX, "the limit of pixels is kept");
    } else {
        must(status <= COULIS_MISSING || status == COULIS_NO_MEMORY, "a picture fails as a picture");
        for (size_t i = 0; i < count; i++) must(rgb[i] == UNTOUCHED, "a failure leaves the result untouched");
    }
    free(rgb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_options(data, size, 32, 32, COULIS_RESIZE_SQUASH, COULIS_ORIENT_IGNORE, COULIS_ALPHA_DROP, COULIS_DECODE_EXACT,
                COULIS_TRUNCATED_REFUSE, COULIS_DEPTH_PILLOW);
    try_options(data, size, 7, 61, COULIS_RESIZE_CROP, COULIS_ORIENT_EXIF, COULIS_ALPHA_WHITE, COULIS_DECODE_EXACT,
                COULIS_TRUNCATED_KEEP, COULIS_DEPTH_SCALE);
    try_options(data, size, 5, 3, COULIS_RESIZE_CROP, COULIS_ORIENT_EXIF, COULIS_ALPHA_DROP, COULIS_DECODE_FAST,
                COULIS_TRUNCATED_KEEP, COULIS_DEPTH_PILLOW);
    return 0;
}

#ifdef COULIS_FUZZ_MAIN
int main(int count, char **paths) {
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(paths[i], "rb");
        if (!file) {
            perror(paths[i]);
            return 2;
        }
        fseek(file, 0, SEEK_END);
        size_t size = (size_t)ftell(file);
        rewind(file);
        uint8_t *data = malloc(size ? size : 1); /* of the exact size, so that a sanitizer sees one byte too many */
        if (!data || fread(data, 1, size, file) != size) {
            fprintf(stderr, "%s: cannot be read\n", paths[i]);
            return 2;
        }
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    printf("%d files replayed\n", count - 1);
    return 0;
}
#endif
