/* A network and images small enough to be made here, and whole jobs over them. */
#pragma once

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/files.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "test.h"

#define IMAGES 40

static char folder[256], model[300], images[300];

static const char description[] =
    "{\"format\":1,\"name\":\"tiny\",\"source\":\"test\",\"licence\":\"MIT\","
    "\"input\":{\"width\":32,\"height\":32,\"channels\":\"RGB\",\"mean\":[127,127,127],\"std\":[128,128,128]},"
    "\"nodes\":["
    "{\"name\":\"a\",\"op\":\"conv\",\"inputs\":[\"image\"],\"weight\":\"a\",\"channels\":16,\"kernel\":[3,3],"
    "\"stride\":[2,2],\"padding\":\"same\"},"
    "{\"name\":\"b\",\"op\":\"relu6\",\"inputs\":[\"a\"]},"
    "{\"name\":\"c\",\"op\":\"conv\",\"inputs\":[\"b\"],\"weight\":\"c\",\"channels\":16,\"kernel\":[3,3],"
    "\"groups\":16,\"padding\":\"same\"},"
    "{\"name\":\"d\",\"op\":\"conv\",\"inputs\":[\"c\"],\"weight\":\"d\",\"channels\":16,\"kernel\":[3,3],"
    "\"padding\":\"same\"},"
    "{\"name\":\"e\",\"op\":\"add\",\"inputs\":[\"d\",\"b\"]},"
    "{\"name\":\"f\",\"op\":\"conv\",\"inputs\":[\"e\"],\"weight\":\"f\",\"channels\":24,\"kernel\":[1,1]},"
    "{\"name\":\"g\",\"op\":\"global_average_pool\",\"inputs\":[\"f\"]}],"
    "\"features\":{\"map\":\"f\",\"pooled\":\"g\"}}";

static inline int write_model(void) {
    static float weights[16 * 16 * 9];
    uint32_t state = 7;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        weights[i] = (float)(int32_t)(state = state * 1664525u + 1013904223u) * 0x1p-33f;
    const cl_tensor tensors[] = {
        {.name = "a", .rank = 4, .shape = {16, 3, 3, 3}, .count = 16 * 27, .data = weights},
        {.name = "c", .rank = 4, .shape = {16, 1, 3, 3}, .count = 16 * 9, .data = weights},
        {.name = "d", .rank = 4, .shape = {16, 16, 3, 3}, .count = 16 * 16 * 9, .data = weights},
        {.name = "f", .rank = 4, .shape = {24, 16, 1, 1}, .count = 24 * 16, .data = weights},
    };
    const char *const metadata[] = {"coulis", description};
    return cl_safetensors_write(model, tensors, 4, metadata, 1, NULL) == COULIS_OK;
}

static inline void put_chunk(FILE *file, const char *kind, const uint8_t *data, uint32_t size) {
    uint32_t crc = (uint32_t)crc32(crc32(0, (const Bytef *)kind, 4), data, size);
    const uint8_t head[] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};
    const uint8_t tail[] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc};
    fwrite(head, 1, 4, file);
    fwrite(kind, 1, 4, file);
    if (size > 0) fwrite(data, 1, size, file);
    fwrite(tail, 1, 4, file);
}

/* A PNG of 20x10 grey pixels that differ from number to number. */
static inline int write_image(const char *path, int number) {
    static const uint8_t header[] = {0, 0, 0, 20, 0, 0, 0, 10, 8, 0, 0, 0, 0};
    uint8_t rows[10][21], packed[1000];
    uLongf size = sizeof packed;
    for (int y = 0; y < 10; y++)
        for (int x = 0; x <= 20; x++) rows[y][x] = (uint8_t)(x == 0 ? 0 : x * (number + 1) + y * y * (number % 7));
    FILE *file = fopen(path, "wb");
    if (!file || compress(packed, &size, rows[0], sizeof rows) != Z_OK) return 0;
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, file);
    put_chunk(file, "IHDR", header, sizeof header);
    put_chunk(file, "IDAT", packed, (uint32_t)size);
    put_chunk(file, "IEND", NULL, 0);
    return fclose(file) == 0;
}

static inline int set_up(void) {
    snprintf(folder, sizeof folder, "%s/coulis-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(folder)) return 0;
    snprintf(model, sizeof model, "%s/tiny.safetensors", folder);
    snprintf(images, sizeof images, "%s/images", folder);
    if (mkdir(images, 0700) != 0 || !write_model()) return 0;
    for (int i = 0; i < IMAGES; i++) {
        char path[400];
        snprintf(path, sizeof path, "%s/%02d.png", images, i);
        if (!write_image(path, i)) return 0;
    }
    return 1;
}

static inline void remove_all(const char *path) {
    DIR *directory = opendir(path);
    if (!directory) {
        unlink(path);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char below[1024];
        if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) < (int)sizeof below) remove_all(below);
    }
    closedir(directory);
    rmdir(path);
}

static inline coulis_job_options tiny_options(int32_t threads) {
    coulis_job_options options;
    coulis_job_options_init(&options, sizeof options);
    options.model = model;
    options.threads = threads;
    options.rows_per_file = 9;
    options.components = 3;
    return options;
}

static inline coulis_status run_into(const char *name, const coulis_job_options *options, coulis_error *error) {
    char output[400];
    const char *const paths[] = {images};
    snprintf(output, sizeof output, "%s/%s", folder, name);
    return coulis_job_run(paths, 1, output, options, NULL, NULL, error);
}

static inline int same_file(const char *one, const char *other, const char *name) {
    char path[2][700];
    uint8_t *bytes[2] = {NULL, NULL};
    size_t size[2] = {0, 1};
    snprintf(path[0], sizeof path[0], "%s/%s/%s", folder, one, name);
    snprintf(path[1], sizeof path[1], "%s/%s/%s", folder, other, name);
    for (int i = 0; i < 2; i++)
        if (cl_file_read(path[i], 1 << 30, &bytes[i], &size[i], NULL) != COULIS_OK) bytes[i] = NULL;
    int same = bytes[0] && bytes[1] && size[0] == size[1] && memcmp(bytes[0], bytes[1], size[0]) == 0;
    cl_free(bytes[0]);
    cl_free(bytes[1]);
    return same;
}

static inline void check_same(const char *one, const char *other) {
    for (int part = 0; part < 5; part++) {
        char name[64];
        snprintf(name, sizeof name, "features/part-%05d.parquet", part);
        CHECK_MSG(same_file(one, other, name), "%s, %s: %s", one, other, name);
        snprintf(name, sizeof name, "reduced/part-%05d.parquet", part);
        CHECK_MSG(same_file(one, other, name), "%s, %s: %s", one, other, name);
    }
    CHECK(same_file(one, other, "pca.safetensors"));
}
