/* Files that others may have made: small ones that fuzzing found (tests/data/hostile/READER/), and damaged copies of
 * good ones. Nothing may crash, which the sanitizers see better, and a refusal has a sentence. */
#include <dirent.h>

#include "../../fuzz/readers.h"
#include "base/files.h"
#include "base/memory.h"
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

static void damaged(const struct reader *reader, const uint8_t *good, size_t size) {
    uint8_t *bytes = malloc(size + 1);
    CHECK(bytes);
    for (int i = 0; bytes && i < DAMAGED; i++) {
        memcpy(bytes, good, size);
        reader_try(reader, bytes, damage(bytes, size));
    }
    free(bytes);
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

static void taken(const struct reader *reader, const uint8_t *bytes, size_t size) {
    CHECK_MSG(reader_try(reader, bytes, size) == COULIS_OK, "a good file is refused by %s", reader->name);
}

/* What fuzzing found and what lies (tests/python/archives.py), one file each. */
static void findings(void) { each_file("hostile", once); }

/* Damaged copies of good files: of our own (fuzz/seeds.py), archives and tables (tests/python/archives.py). */
static void good_files(void) { each_file("seeds", taken); }
static void damaged_files(void) { each_file("seeds", damaged); }

int main(void) {
    RUN(findings);
    RUN(good_files);
    RUN(damaged_files);
    return test_finish();
}
