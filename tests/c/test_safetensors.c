/* Safetensors files, SHA-256, CRC-32 and whole-or-nothing writing. */
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32.h"
#include "base/files.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "base/sha256.h"
#include "test.h"

static char folder[] = "/tmp/coulis-test-XXXXXX";
static char path[128];

/* A file of the given header and `data_size` bytes of data. */
static void write_raw(const char *header, uint64_t header_size, size_t data_size) {
    FILE *file = fopen(path, "wb");
    if (!file) return;
    for (int i = 0; i < 8; i++) fputc((int)(header_size >> (8 * i) & 0xFF), file);
    fwrite(header, 1, strlen(header), file);
    for (size_t i = 0; i < data_size; i++) fputc((int)(i & 0xFF), file);
    fclose(file);
}

static coulis_status open_header(const char *header, size_t data_size, cl_safetensors **file, coulis_error *error) {
    write_raw(header, strlen(header), data_size);
    return cl_safetensors_open(path, COULIS_BAD_MODEL, file, error);
}

static void hashes(void) {
    /* From FIPS 180-4's examples. */
    static const struct {
        const char *text, *digest;
    } known[] = {{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                 {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                 {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    char text[CL_SHA256_TEXT];
    cl_sha256 hash;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        cl_sha256_begin(&hash);
        cl_sha256_add(&hash, known[i].text, strlen(known[i].text));
        cl_sha256_end(&hash, text);
        CHECK(!strcmp(text, known[i].digest));
    }
    /* One million times "a", in pieces that fit no block. */
    char piece[77];
    memset(piece, 'a', sizeof piece);
    cl_sha256_begin(&hash);
    for (size_t left = 1000000; left;) {
        size_t size = left < sizeof piece ? left : sizeof piece;
        cl_sha256_add(&hash, piece, size);
        left -= size;
    }
    cl_sha256_end(&hash, text);
    CHECK(!strcmp(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));
}

static void check_sums(void) {
    CHECK(cl_crc32(0, "123456789", 9) == 0xCBF43926); /* the check value that catalogues of CRCs give */
    uint8_t bytes[1200];
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
    for (size_t size = 0; size <= 1100; size++) {
        const uint8_t *at = bytes + size % 67;
        uint32_t bitwise = UINT32_MAX; /* by the definition: a bit at a time */
        for (size_t i = 0; i < size; i++) {
            bitwise ^= at[i];
            for (int bit = 0; bit < 8; bit++) bitwise = bitwise >> 1 ^ (bitwise & 1 ? 0xEDB88320 : 0);
        }
        CHECK(cl_crc32(0, at, size) == ~bitwise);
        CHECK(cl_crc32(cl_crc32(0, at, size / 3), at + size / 3, size - size / 3) == ~bitwise);
    }
}

static void write_sample(const char *to, coulis_status expected) {
    static const float a[] = {1, 2, 3, 4, 5, 6};
    static const double b[] = {0.1, -1e300, 5e-324};
    const cl_tensor tensors[] = {
        {.name = "a \"quoted\"", .dtype = CL_F32, .rank = 2, .shape = {2, 3}, .count = 6, .data = a},
        {.name = "empty", .dtype = CL_F32, .rank = 1, .shape = {0}, .count = 0, .data = a},
        {.name = "b", .dtype = CL_F64, .rank = 1, .shape = {3}, .count = 3, .data = b}};
    const char *metadata[] = {"key", "value \xC3\xA9", "other", ""};
    coulis_error error = {0};
    CHECK(cl_safetensors_write(to, tensors, 3, metadata, 2, &error) == expected);
    CHECK_MSG(error.status == (int32_t)expected, "%s", error.message);
}

static void round_trip(void) {
    coulis_error error = {0};
    cl_safetensors *file = NULL;
    write_sample(path, COULIS_OK);
    CHECK(cl_safetensors_open(path, COULIS_BAD_DATA, &file, &error) == COULIS_OK);
    if (!file) return;
    const cl_tensor *a = cl_safetensors_find(file, "a \"quoted\""), *b = cl_safetensors_find(file, "b");
    const cl_tensor *empty = cl_safetensors_find(file, "empty");
    CHECK(a && a->rank == 2 && a->shape[0] == 2 && a->shape[1] == 3 && a->count == 6);
    CHECK(a && ((const float *)a->data)[5] == 6);
    CHECK(b && b->count == 3 && ((const double *)b->data)[1] == -1e300 && ((const double *)b->data)[2] == 5e-324);
    CHECK(b && (uintptr_t)b->data % 8 == 0);
    CHECK(empty && empty->count == 0);
    CHECK(cl_safetensors_find(file, "c") == NULL);
    CHECK(!strcmp(cl_safetensors_metadata(file, "key"), "value \xC3\xA9"));
    CHECK(!strcmp(cl_safetensors_metadata(file, "other"), ""));
    CHECK(cl_safetensors_metadata(file, "nothing") == NULL);
    cl_safetensors_close(file);

    uint8_t *first, *second;
    size_t size, again;
    CHECK(cl_file_read(path, 1 << 20, &first, &size, &error) == COULIS_OK);
    write_sample(path, COULIS_OK);
    CHECK(cl_file_read(path, 1 << 20, &second, &again, &error) == COULIS_OK);
    CHECK(size == again && !memcmp(first, second, size));
    uint64_t header = first[0] | (uint64_t)first[1] << 8;
    CHECK(header % 8 == 0 && size == 8 + header + 6 * 4 + 3 * 8);
    cl_free(first);
    cl_free(second);
}

static void takes_what_the_format_allows(void) {
    coulis_error error = {0};
    cl_safetensors *file = NULL;
    /* Types we do not use, a misaligned F64, padding, a scalar, no metadata. */
    CHECK(open_header("{\"i\":{\"dtype\":\"I8\",\"shape\":[3,1,1,1,1],\"data_offsets\":[0,3]},"
                      "\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[3,11]},"
                      "\"f\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[12,16]},"
                      "\"new\":{\"dtype\":\"F6\",\"shape\":[1],\"data_offsets\":[11,12]}}   \n",
                      16, &file, &error) == COULIS_OK);
    if (!file) return;
    static const uint8_t expected[8] = {3, 4, 5, 6, 7, 8, 9, 10};
    const cl_tensor *d = cl_safetensors_find(file, "d"), *f = cl_safetensors_find(file, "f");
    CHECK(cl_safetensors_find(file, "i") == NULL && cl_safetensors_find(file, "new") == NULL);
    CHECK(d && (uintptr_t)d->data % 8 == 0 && !memcmp(d->data, expected, 8));
    CHECK(f && f->rank == 0 && f->count == 1);
    CHECK(cl_safetensors_metadata(file, "key") == NULL);
    CHECK(strlen(cl_safetensors_sha256(file)) == 64);
    cl_safetensors_close(file);
}

static void refuses(void) {
    static const struct {
        const char *header;
        const char *word;
    } cases[] = {{"", "not a JSON object"},
                 {"[]", "not a JSON object"},
                 {"{\"a\":", "not a JSON object"},
                 {"{} x", "goes on"},
                 {"{\"a\":1}", "not an object"},
                 {"{\"__metadata__\":{\"a\":1}}", "not text"},
                 {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", "lacks"},
                 {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", "lacks"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "lacks"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", "lacks"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", "lacks"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", "outside"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", "outside"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0.5,4.5]}}", "outside"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,20]}}", "outside"},
                 {"{\"a\":{\"dtype\":\"I64\",\"shape\":[5],\"data_offsets\":[0,1e300]}}", "outside"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "asks for"},
                 {"{\"a\":{\"dtype\":\"I16\",\"shape\":[1],\"data_offsets\":[0,4]}}", "asks for"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "whole numbers"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]}}", "whole numbers"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", "dimensions"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", "too large"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}",
                  "whole numbers"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4503599627370496,1024],\"data_offsets\":[0,0]}}", "asks for"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                  "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
                  "twice"},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                  "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
                  "overlaps"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        coulis_error error = {0};
        cl_safetensors *file = NULL;
        CHECK_MSG(open_header(cases[i].header, 16, &file, &error) == COULIS_BAD_MODEL, "%s: %s", cases[i].header,
                  error.message);
        CHECK_MSG(strstr(error.message, cases[i].word) && strstr(error.message, path), "%s: %s", cases[i].header,
                  error.message);
        CHECK(file == NULL);
    }
}

static void refuses_false_lengths(void) {
    static const uint64_t lengths[] = {3, 1000, 100000001, UINT64_MAX, UINT64_MAX - 7, 1ULL << 63};
    coulis_error error = {0};
    cl_safetensors *file = NULL;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        write_raw("{}", lengths[i], 0);
        CHECK(cl_safetensors_open(path, COULIS_BAD_DATA, &file, &error) == COULIS_BAD_DATA);
    }
    CHECK(truncate(path, 5) == 0);
    CHECK(cl_safetensors_open(path, COULIS_BAD_DATA, &file, &error) == COULIS_BAD_DATA);
    CHECK(truncate(path, 0) == 0);
    CHECK(cl_safetensors_open(path, COULIS_BAD_DATA, &file, &error) == COULIS_BAD_DATA);
    CHECK(cl_safetensors_open("/nowhere/at all", COULIS_BAD_DATA, &file, &error) == COULIS_MISSING);
    CHECK(strstr(error.message, "/nowhere/at all") != NULL);
    CHECK(cl_safetensors_open(folder, COULIS_BAD_DATA, &file, &error) == COULIS_IO);
}

/* A good file with any byte of its first 300 changed or cut off there is read or refused, never more. */
static void survives_damage(void) {
    uint8_t *good;
    size_t size;
    coulis_error error = {0};
    write_sample(path, COULIS_OK);
    if (cl_file_read(path, 1 << 20, &good, &size, &error)) return;
    int refused = 0;
    for (size_t i = 0; i < size && i < 300; i++) {
        for (int kind = 0; kind < 3; kind++) {
            uint8_t before = good[i];
            good[i] = kind == 0 ? (uint8_t)(before ^ 0x80) : kind == 1 ? '9' : before;
            CHECK(cl_file_write(path, good, kind == 2 ? i : size, &error) == COULIS_OK);
            good[i] = before;
            cl_safetensors *file = NULL;
            coulis_status status = cl_safetensors_open(path, COULIS_BAD_DATA, &file, &error);
            CHECK(status == COULIS_OK || status == COULIS_BAD_DATA);
            refused += status != COULIS_OK;
            if (!status) cl_safetensors_close(file);
        }
    }
    CHECK(refused > 300); /* every cut, and most changes of the header */
    cl_free(good);
}

static void survives_short_memory(void) {
    write_sample(path, COULIS_OK);
    int failed = 0;
    for (int64_t n = 1; n < 30; n++) {
        coulis_error error = {0};
        cl_safetensors *file = NULL;
        cl_test_fail_allocation(n);
        coulis_status status = cl_safetensors_open(path, COULIS_BAD_DATA, &file, &error);
        cl_test_fail_allocation(0);
        CHECK(status == COULIS_OK || status == COULIS_NO_MEMORY);
        failed += status == COULIS_NO_MEMORY;
        if (!status) cl_safetensors_close(file);
    }
    CHECK(failed >= 5);
}

static bool exists(const char *name) {
    struct stat info;
    return stat(name, &info) == 0;
}

/* With a limit on file size a write fails as on a full disk. */
static void full_disk(void) {
    char temporary[160];
    snprintf(temporary, sizeof temporary, "%s/.full.safetensors.tmp", folder);
    snprintf(path, sizeof path, "%s/full.safetensors", folder);
    size_t count = 100000;
    float *numbers = cl_alloc_zero(count, sizeof *numbers);
    cl_tensor tensor = {
        .name = "a", .dtype = CL_F32, .rank = 1, .shape = {(int64_t)count}, .count = (int64_t)count, .data = numbers};
    struct rlimit before, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 50000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    coulis_error error = {0};
    coulis_status status = cl_safetensors_write(path, &tensor, 1, NULL, 0, &error);
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK(status == COULIS_IO);
    CHECK_MSG(strstr(error.message, "File too large") && strstr(error.message, path), "%s", error.message);
    CHECK(!exists(path) && !exists(temporary));
    CHECK(cl_safetensors_write("/nowhere/at all", &tensor, 1, NULL, 0, &error) == COULIS_IO);
    CHECK(strstr(error.message, "/nowhere/at all") != NULL);
    cl_free(numbers);
}

static void makes_folders(void) {
    char deep[160];
    coulis_error error = {0};
    snprintf(deep, sizeof deep, "%s/a//b/c/", folder);
    CHECK(cl_make_folders(deep, &error) == COULIS_OK && exists(deep));
    CHECK(cl_make_folders(deep, &error) == COULIS_OK);
    snprintf(deep, sizeof deep, "%s/a/file", folder);
    CHECK(cl_file_write(deep, "x", 1, &error) == COULIS_OK);
    snprintf(deep, sizeof deep, "%s/a/file/b", folder);
    CHECK(cl_make_folders(deep, &error) == COULIS_IO);
    CHECK(strstr(error.message, "a/file") != NULL);
    snprintf(deep, sizeof deep, "%s/a/file", folder);
    uint8_t *bytes;
    size_t size;
    CHECK(cl_file_read(deep, 0, &bytes, &size, &error) == COULIS_IO);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    if (!mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/a.safetensors", folder);
    RUN(hashes);
    RUN(check_sums);
    RUN(round_trip);
    RUN(takes_what_the_format_allows);
    RUN(refuses);
    RUN(refuses_false_lengths);
    RUN(survives_damage);
    RUN(survives_short_memory);
    RUN(full_disk);
    RUN(makes_folders);
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) || test_finish();
}
