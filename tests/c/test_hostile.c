/* Files that others may have made: small ones that fuzzing found (tests/data/hostile/READER/), and damaged copies of
 * good ones. Nothing may crash, which the sanitizers see better, and a refusal has a sentence. */
#include <dirent.h>

#include "../../fuzz/readers.h"
#include "base/files.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "test.h"

#define DAMAGED (test_is_quick() ? 100 : 400)

static uint32_t state = 1;

static uint32_t draw(uint32_t below) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
}

/* Flips, overwrites, cuts and repeats bytes. */
static size_t damage(uint8_t *bytes, size_t size) {
    for (uint32_t i = 1 + draw(4); i > 0 && size > 1; i--) {
        const size_t at = draw((uint32_t)size);
        switch (draw(5)) {
        case 0: bytes[at] ^= (uint8_t)(1u << draw(8)); break;
        case 1: bytes[at] = (uint8_t)draw(256); break;
        case 2: bytes[at] = 0xFF; break;
        case 3: size = draw(8) ? size : at; break;
        default: memmove(bytes + at, bytes + draw((uint32_t)at + 1), (size - at) / 2); break;
        }
    }
    return size;
}

static void try_damaged(const char *reader, const void *good, size_t size) {
    const struct reader *chosen = NULL;
    for (int i = 0; i < READERS; i++)
        if (strcmp(readers[i].name, reader) == 0) chosen = &readers[i];
    uint8_t *bytes = malloc(size + 1);
    CHECK(chosen && bytes);
    if (!chosen || !bytes) return;
    for (int i = 0; i < DAMAGED; i++) {
        memcpy(bytes, good, size);
        reader_try(chosen, bytes, i == 0 ? size : damage(bytes, size));
    }
    free(bytes);
}

static void try_file(const char *reader, const char *path) {
    uint8_t *bytes;
    size_t size;
    CHECK_MSG(cl_file_read(path, 1 << 24, &bytes, &size, NULL) == COULIS_OK, "%s", path);
    try_damaged(reader, bytes, size);
    cl_free(bytes);
    unlink(path);
}

static void lists_and_run_json(void) {
    static const char list[] = "\xEF\xBB\xBF" "a/b.jpg\n\nc.png\r\nd e f\n/x/y/z.webp";
    static const char run[] = "{\"complete\": false, \"recipe\": {\"model\":\"m\",\"components\":3}, \"parts\": "
                              "{\"features\": [{\"name\": \"part-00000.parquet\", \"rows\": 3, \"bytes\": 100, "
                              "\"sha256\": \"00\"}], \"reduced\": []}}";
    try_damaged("list", list, sizeof list - 1);
    try_damaged("run_json", run, sizeof run - 1);
}

static void tables(void) {
    const float vectors[3][2] = {{1, 2}, {3, 4}, {5, 6}};
    cl_part_writer *writer = NULL;
    coulis_error error;
    char path[256];
    snprintf(path, sizeof path, "/tmp/coulis-hostile-%ld.parquet", (long)getpid());
    CHECK_MSG(cl_part_writer_open(path, "features", 2, "{}", &writer, &error) == COULIS_OK, "%s", error.message);
    cl_row rows[3];
    memset(rows, 0, sizeof rows);
    for (int i = 0; i < 3; i++) {
        rows[i].path = "a/b.jpg";
        rows[i].label = "a";
        rows[i].vector = i == 1 ? NULL : vectors[i];
        rows[i].status = i == 1 ? COULIS_EMPTY : COULIS_OK;
        rows[i].error = i == 1 ? "is empty" : NULL;
    }
    for (int group = 0; group < 2; group++) CHECK(cl_part_writer_write(writer, rows, 3, &error) == COULIS_OK);
    CHECK(cl_part_writer_commit(writer, &error) == COULIS_OK);
    try_file("part", path);
}

static void components(void) {
    static const float x[5][3] = {{1, 2, 3}, {4, 5, 7}, {2, 2, 1}, {9, 8, 7}, {3, 1, 2}};
    coulis_pca *pca = NULL;
    coulis_error error;
    char path[256];
    snprintf(path, sizeof path, "/tmp/coulis-hostile-%ld.safetensors", (long)getpid());
    CHECK_MSG(coulis_pca_fit(x[0], 5, 3, NULL, &pca, &error) == COULIS_OK, "%s", error.message);
    CHECK(coulis_pca_save(pca, path, &error) == COULIS_OK);
    coulis_pca_free(pca);
    try_file("pca", path);
}

static void networks(void) {
    static const char description[] =
        "{\"format\":1,\"name\":\"tiny\",\"source\":\"test\",\"licence\":\"MIT\","
        "\"input\":{\"width\":8,\"height\":8,\"channels\":\"RGB\",\"mean\":[127,127,127],\"std\":[128,128,128]},"
        "\"nodes\":[{\"name\":\"f\",\"op\":\"conv\",\"inputs\":[\"image\"],\"weight\":\"f\",\"channels\":4,"
        "\"kernel\":[3,3],\"stride\":[2,2],\"padding\":\"same\"},"
        "{\"name\":\"g\",\"op\":\"global_average_pool\",\"inputs\":[\"f\"]}],"
        "\"features\":{\"map\":\"f\",\"pooled\":\"g\"}}";
    static const float weights[4 * 27];
    const cl_tensor tensor = {.name = "f", .rank = 4, .shape = {4, 3, 3, 3}, .count = 4 * 27, .data = weights};
    const char *const metadata[] = {"coulis", description};
    char path[256];
    snprintf(path, sizeof path, "/tmp/coulis-hostile-%ld.safetensors", (long)getpid());
    CHECK(cl_safetensors_write(path, &tensor, 1, metadata, 1, NULL) == COULIS_OK);
    try_file("model", path);
}

/* Calls `try` for each file in tests/data/WHICH/READER. */
static void each_file(const char *which, void (*try)(const struct reader *, const uint8_t *, size_t)) {
    for (int i = 0; i < READERS; i++) {
        char folder[200];
        snprintf(folder, sizeof folder, "tests/data/%s/%s", which, readers[i].name);
        DIR *directory = opendir(folder);
        struct dirent *entry;
        while (directory && (entry = readdir(directory)) != NULL) {
            char path[512];
            uint8_t *bytes;
            size_t size;
            if (entry->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            CHECK_MSG(cl_file_read(path, 1 << 24, &bytes, &size, NULL) == COULIS_OK, "%s", path);
            try(&readers[i], bytes, size);
            cl_free(bytes);
        }
        if (directory) closedir(directory);
    }
}

static void once(const struct reader *reader, const uint8_t *bytes, size_t size) { reader_try(reader, bytes, size); }

static void damaged(const struct reader *reader, const uint8_t *bytes, size_t size) {
    try_damaged(reader->name, bytes, size);
}

/* What fuzzing found and what lies (tests/python/archives.py), one file each. */
static void findings(void) { each_file("hostile", once); }

/* Damaged copies of good archives and tables, which tests/python/archives.py writes. */
static void archives(void) { each_file("seeds", damaged); }

int main(void) {
    RUN(lists_and_run_json);
    RUN(tables);
    RUN(components);
    RUN(networks);
    RUN(findings);
    RUN(archives);
    return test_finish();
}
