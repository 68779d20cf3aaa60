/* Throws bytes at coulis_moments_load, and uses what it takes.
 *
 * As a libFuzzer target:   clang -fsanitize=fuzzer,address,undefined ... fuzz_moments.c
 * Half of the inputs get a valid header for their size first, as no mutation finds one soon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coulis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* More columns take too long for many tries a second. */
#define COLUMNS_MAX 24

static void must(int condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "fuzz_moments: not true: %s\n", what);
    abort();
}

static void check(coulis_status status, const coulis_error *error) {
    if (status == COULIS_OK) return;
    must(error->status == (int32_t)status, "the error has the status that is returned");
    must(error->message[0] != '\0', "a failure has a sentence");
}

static const coulis_moments_options one_thread = {.size = sizeof one_thread, .threads = 1};

/* What was taken can be saved to the same bytes, refuses to merge with itself, and is solved or refused. */
static void use(coulis_moments *moments, const uint8_t *data, size_t size) {
    coulis_error error;
    void *bytes;
    size_t length;
    coulis_moments *other;
    check(coulis_moments_save(moments, &bytes, &length, &error), &error);
    must(length == size && memcmp(bytes, data, size) == 0, "the bytes come back");
    coulis_bytes_free(bytes);
    check(coulis_moments_load(data, size, &one_thread, &other, &error), &error);
    coulis_status status = coulis_moments_merge(moments, other, &error);
    check(status, &error);
    must(coulis_moments_rows(other) == 0 || status == COULIS_INVALID_ARGUMENT, "no row is added twice");
    coulis_moments_free(other);
    coulis_pca *pca = NULL;
    status = coulis_moments_finish(moments, NULL, &pca, &error);
    check(status, &error);
    if (status == COULIS_OK) coulis_pca_free(pca);
}

static void load(const uint8_t *data, size_t size) {
    coulis_error error;
    coulis_moments *moments = NULL;
    coulis_status status = coulis_moments_load(data, size, &one_thread, &moments, &error);
    check(status, &error);
    if (status != COULIS_OK) {
        must(moments == NULL, "a failure leaves the result untouched");
        must(status == COULIS_BAD_DATA || status == COULIS_NO_MEMORY, "damaged bytes fail as such");
        return;
    }
    if (coulis_moments_columns(moments) <= COLUMNS_MAX) use(moments, data, size);
    coulis_moments_free(moments);
}

/* The input behind a header that fits it: its first byte says how many columns, its second how many nodes. */
static void load_with_header(const uint8_t *data, size_t size) {
    if (size < 2) return;
    int64_t cols = 1 + data[0] % COLUMNS_MAX, nodes = data[1] % 3;
    size_t node = 16 + 8 * (size_t)(cols + cols * (cols + 1) / 2), used = (size_t)nodes * node;
    data += 2;
    size -= 2;
    if (used > size) return;
    int64_t leaf = coulis_moments_leaf_rows(cols), rest = (int64_t)(size - used) / (4 * cols);
    if (rest >= leaf) return;
    const int64_t numbers[6] = {1, cols, leaf, 3 * leaf + rest, nodes, rest};
    size_t total = 8 + sizeof numbers + used + (size_t)(rest * cols) * 4;
    uint8_t *bytes = malloc(total); /* of the exact size, so that a sanitizer sees one byte too many */
    must(bytes != NULL, "memory for the input");
    memcpy(bytes, "coulisMO", 8);
    memcpy(bytes + 8, numbers, sizeof numbers);
    memcpy(bytes + 8 + sizeof numbers, data, total - 8 - sizeof numbers);
    load(bytes, total);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    load(data, size);
    load_with_header(data, size);
    return 0;
}
