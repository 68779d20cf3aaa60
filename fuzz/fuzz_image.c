/* Throws bytes at the image decoder.
 *
 * As a libFuzzer target:   clang -fsanitize=fuzzer,address,undefined ... fuzz_image.c
 * To replay files:         cc -fsanitize=address,undefined -DCOULIS_FUZZ_MAIN ... fuzz_image.c
 *                          ./fuzz_image FILE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    image_try(data, size);
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
