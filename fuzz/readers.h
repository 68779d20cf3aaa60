/* What coulis reads from files that others may have made: each reader gets bytes, and takes them or refuses them with a
 * status and a sentence. Shared by fuzz_files.c and tests/c/test_hostile.c, which replays what fuzzing found. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coulis.h"
#include "image_reader.h"
#include "pipeline/output.h"
#include "table/part.h"

static void reader_must(int condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "not true: %s\n", what);
    abort();
}

static void reader_check(coulis_status status, const coulis_error *error) {
    if (status == COULIS_OK) return;
    reader_must(error->status == (int32_t)status, "the error has the status that is returned");
    reader_must(error->message[0] != '\0', "a failure has a sentence");
    reader_must(status != COULIS_INTERNAL, "a damaged file is not an internal error");
}

static coulis_status read_model(const char *path) {
    coulis_error error;
    coulis_model *model = NULL;
    coulis_status status = coulis_model_open(path, NULL, &model, &error);
    reader_check(status, &error);
    if (status == COULIS_OK) coulis_model_close(model);
    return status;
}

static coulis_status read_pca(const char *path) {
    coulis_error error;
    coulis_pca *pca = NULL;
    coulis_status status = coulis_pca_load(path, &pca, &error);
    reader_check(status, &error);
    if (status == COULIS_OK) coulis_pca_free(pca);
    return status;
}

static coulis_status read_part(const char *path) {
    coulis_error error;
    cl_part_reader *reader;
    coulis_status status = cl_part_reader_open_any(path, "features", &reader, &error);
    reader_check(status, &error);
    if (status != COULIS_OK) return status;
    for (int32_t group = 0; status == COULIS_OK && group < cl_part_reader_row_groups(reader); group++) {
        const cl_row *rows;
        int64_t count;
        status = cl_part_reader_read(reader, group, 1, &rows, &count, &error);
        reader_check(status, &error);
    }
    cl_part_reader_close(reader);
    return status;
}

static coulis_status read_list(const char *path) {
    coulis_error error;
    coulis_source *source = NULL;
    char argument[300];
    snprintf(argument, sizeof argument, "@%s", path);
    const char *const paths[] = {argument};
    coulis_status status = coulis_source_open(paths, 1, NULL, NULL, &source, &error);
    reader_check(status, &error);
    if (status == COULIS_OK) coulis_source_close(source);
    return status;
}

/* As an archive or a table of images: every item that it gives is read. */
static coulis_status read_source(const char *path, const char *ending) {
    coulis_error error;
    coulis_source *source = NULL;
    char name[300];
    snprintf(name, sizeof name, "%s%s", path, ending);
    reader_must(rename(path, name) == 0, "the file can be renamed");
    const char *const paths[] = {name};
    coulis_status status = coulis_source_open(paths, 1, NULL, NULL, &source, &error);
    reader_check(status, &error);
    while (status == COULIS_OK) {
        coulis_item item = {.size = sizeof item, .bytes = -1, .modified = INT64_MIN};
        void *bytes = NULL;
        size_t size = 0;
        status = source->next(source->context, &item, &error);
        reader_check(status, &error);
        reader_must(status == COULIS_OK || status >= COULIS_INVALID_ARGUMENT, "a source ends with a status of its own");
        if (status != COULIS_OK || !item.name) break;
        reader_must(item.label != NULL, "every item has a label");
        if (strstr(item.name, "://")) continue; /* nobody is to be asked for what a list of the fuzzer names */
        const coulis_status read = source->read(source->context, &item, 1 << 20, &bytes, &size, &error);
        reader_check(read, &error);
        reader_must(read != COULIS_OK || (bytes && size > 0 && size <= 1 << 20), "bytes are as many as allowed");
        volatile uint8_t sum = 0; /* so that a sanitizer sees each of them */
        for (size_t i = 0; read == COULIS_OK && i < size; i++) sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
        if (read == COULIS_OK) source->release(source->context, bytes);
    }
    coulis_source_close(source);
    unlink(name);
    return status;
}

static coulis_status read_tar(const char *path) { return read_source(path, ".tar"); }
static coulis_status read_zip(const char *path) { return read_source(path, ".zip"); }
static coulis_status read_csv(const char *path) { return read_source(path, ".csv"); }
static coulis_status read_jsonl(const char *path) { return read_source(path, ".jsonl"); }
static coulis_status read_images(const char *path) { return read_source(path, ".parquet"); }

/* Of the files in tests/data/seeds/run_json, too (seeds.py). */
#define READER_RECIPE "{\"model\":\"m\",\"pictures\":6,\"paths_sha256\":\"00\",\"components\":2}"

/* As the run.json of a folder that a job of some recipe is to go on in. */
static coulis_status read_run_json(const char *path) {
    coulis_error error;
    cl_output output;
    char folder[300], name[320];
    snprintf(folder, sizeof folder, "%s.folder", path);
    snprintf(name, sizeof name, "%s/run.json", folder);
    mkdir(folder, 0700);
    reader_must(rename(path, name) == 0, "the file can be renamed");
    const cl_output_wish wish = {.recipe = READER_RECIPE, .grow = true};
    coulis_status status = cl_output_open(folder, &wish, &output, &error);
    reader_check(status, &error);
    if (status == COULIS_OK) cl_output_close(&output);
    unlink(name);
    snprintf(name, sizeof name, "%s/.parts.jsonl", folder);
    unlink(name);
    rmdir(folder);
    return status;
}

/* The verdict on images is not that of their reader: what it says is checked there. */
static coulis_status read_image(const char *path) {
    FILE *file = fopen(path, "rb");
    struct stat about;
    reader_must(file && fstat(fileno(file), &about) == 0, "the file can be read");
    const size_t size = (size_t)about.st_size;
    uint8_t *bytes = malloc(size ? size : 1); /* of the exact size, so that a sanitizer sees one byte too many */
    reader_must(bytes && fread(bytes, 1, size, file) == size, "the file can be read");
    fclose(file);
    image_try(bytes, size);
    free(bytes);
    return COULIS_OK;
}

static const struct reader {
    const char *name;
    coulis_status (*read)(const char *path);
} readers[] = {{"model", read_model},       {"pca", read_pca},     {"part", read_part},  {"list", read_list},
               {"tar", read_tar},           {"zip", read_zip},     {"csv", read_csv},    {"images", read_images},
               {"run_json", read_run_json}, {"image", read_image}, {"jsonl", read_jsonl}};
enum { READERS = sizeof readers / sizeof *readers };

/* Gives bytes to a reader, in a file of their own; what it says of them. */
static coulis_status reader_try(const struct reader *reader, const void *bytes, size_t size) {
    char path[256];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/coulis-reader-%ld", folder ? folder : "/tmp", (long)getpid());
    FILE *file = fopen(path, "wb");
    reader_must(file && fwrite(bytes, 1, size, file) == size, "the file can be written");
    reader_must(fclose(file) == 0, "the file can be written");
    const coulis_status status = reader->read(path);
    unlink(path);
    return status;
}
