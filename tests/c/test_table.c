/* Parquet parts: written, read back, damaged, and on a full disk. */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/memory.h"
#include "table.h"

/* Whether the row is what make_rows makes. */
static bool same_row(const cl_row *row, int64_t number, int64_t length, bool with_vector) {
    char name[32];
    bool good = number % 5 != 1;
    snprintf(name, sizeof name, "b\xC3\xA4r/%lld.jpg", (long long)number);
    if (strcmp(row->path, name) != 0 || strcmp(row->label, number % 2 ? "b\xC3\xA4r" : "") != 0) return false;
    if (row->status != (good ? COULIS_OK : COULIS_UNREADABLE) || (row->error == NULL) != good) return false;
    if (!good && strcmp(row->error, "it is damaged") != 0) return false;
    if (row->width != (good ? number + 1 : 0) || row->height != (good ? 7 : 0)) return false;
    if (row->file.has_bytes != good || row->file.bytes != (good ? number << 33 : 0)) return false;
    if (row->file.has_modified != (number % 3 == 0) || row->file.modified != (number % 3 ? 0 : -number)) return false;
    if ((row->sha256 != NULL) != good || (good && strcmp(row->sha256, DIGEST) != 0)) return false;
    if ((row->vector != NULL) != (good && with_vector)) return false;
    for (int64_t c = 0; row->vector && c < length; c++)
        if (row->vector[c] != (float)(number * 1000 + c)) return false;
    return true;
}

static void round_trip(void) {
    static const struct {
        int64_t rows, length, per_group;
    } cases[] = {{10, 3, 4},    {1, 1, 1},        {7, 1, 7}, {100, 5000, 30},
                 {6, 70000, 4}, {3000, 40, 1000}, {2, 4, 1}, {0, 3, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t count = cases[i].rows, length = cases[i].length;
        coulis_error error = {0};
        cl_part_reader *reader = NULL;
        CHECK_MSG(write_part(path, 0, count, length, cases[i].per_group, &error) == COULIS_OK, "%s", error.message);
        CHECK_MSG(cl_part_reader_open(path, "features", &reader, &error) == COULIS_OK, "%s", error.message);
        if (!reader) continue;
        CHECK(cl_part_reader_rows(reader) == count);
        CHECK(cl_part_reader_length(reader) == (count ? length : 0));
        CHECK(!strcmp(cl_part_reader_recipe(reader), RECIPE));
        CHECK(cl_part_reader_row_groups(reader) == (count + cases[i].per_group - 1) / cases[i].per_group);
        for (int pass = 0; pass < 2; pass++) {
            int64_t number = 0;
            for (int32_t group = 0; group < cl_part_reader_row_groups(reader); group++) {
                const cl_row *rows = NULL;
                int64_t got = 0, wrong = 0;
                CHECK_MSG(cl_part_reader_read(reader, group, pass, &rows, &got, &error) == COULIS_OK, "%s",
                          error.message);
                for (int64_t r = 0; r < got; r++) wrong += !same_row(&rows[r], number++, length, pass);
                CHECK(wrong == 0);
            }
            CHECK(number == count);
            cl_part_reader_rest(reader); /* and it wakes up again */
        }
        cl_part_reader_close(reader);
    }
}

/* A part in which no image has a vector, and one whose first row group has none. */
static void no_vectors(void) {
    coulis_error error = {0};
    cl_part_reader *reader = NULL;
    CHECK(write_part(path, 1, 1, 50, 1, &error) == COULIS_OK);
    CHECK(cl_part_reader_open(path, "features", &reader, &error) == COULIS_OK);
    CHECK(reader && cl_part_reader_length(reader) == 0);
    cl_part_reader_close(reader);
    reader = NULL;
    CHECK(write_part(path, 1, 3, 50, 1, &error) == COULIS_OK);
    CHECK(cl_part_reader_open(path, "features", &reader, &error) == COULIS_OK);
    CHECK(reader && cl_part_reader_length(reader) == 50);
    cl_part_reader_close(reader);
}

static void same_bytes(void) {
    uint8_t *first = NULL, *second = NULL;
    size_t size = 0, again = 0;
    coulis_error error = {0};
    CHECK(write_part(path, 0, 200, 300, 64, &error) == COULIS_OK);
    CHECK(cl_file_read(path, 1 << 30, &first, &size, &error) == COULIS_OK);
    CHECK(write_part(path, 0, 200, 300, 64, &error) == COULIS_OK);
    CHECK(cl_file_read(path, 1 << 30, &second, &again, &error) == COULIS_OK);
    CHECK(first && second && size == again && !memcmp(first, second, size));
    cl_free(first);
    cl_free(second);
}

static void rows_of_a_group(void) {
    CHECK(cl_row_group_rows(100352) == 83);
    CHECK(cl_row_group_rows(2048) == 4096);
    CHECK(cl_row_group_rows(1280) == 6553);
    CHECK(cl_row_group_rows(1) == 8192);
    CHECK(cl_row_group_rows(1LL << 40) == 1);
}

static int count_files(const char *where) {
    DIR *directory = opendir(where);
    int count = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        count += entry->d_name[0] != '.' || strstr(entry->d_name, ".tmp");
    if (directory) closedir(directory);
    return count;
}

static void gives_up(void) {
    char where[100], to[128];
    snprintf(where, sizeof where, "%s/abort", folder);
    snprintf(to, sizeof to, "%s/part-00000.parquet", where);
    coulis_error error = {0};
    cl_part_writer *writer = NULL;
    CHECK(cl_make_folders(where, &error) == COULIS_OK);
    CHECK(cl_part_writer_open(to, "pca", 4, RECIPE, &(cl_extra){0}, &writer, &error) == COULIS_OK);
    CHECK(count_files(where) == 1);
    cl_part_writer_abort(writer);
    CHECK(count_files(where) == 0);
    cl_part_writer_abort(NULL);
    CHECK(cl_part_writer_open("/nowhere/at all.parquet", "pca", 4, RECIPE, &(cl_extra){0}, &writer, &error) ==
          COULIS_IO);
    CHECK(strstr(error.message, "/nowhere/at all.parquet") != NULL);
    CHECK(cl_part_writer_open(to, "pca", 0, RECIPE, &(cl_extra){0}, &writer, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(count_files(where) == 0);
}

/* A limit on file size makes writes fail as a full disk does, at every stage: in the first row group, a
 * later one, the footer. An older part of the name stays as it was. */
static void full_disk(void) {
    char where[100], to[128];
    snprintf(where, sizeof where, "%s/full", folder);
    snprintf(to, sizeof to, "%s/part-00000.parquet", where);
    coulis_error error = {0};
    CHECK(cl_make_folders(where, &error) == COULIS_OK);
    CHECK(write_part(to, 0, 300, 500, 100, &error) == COULIS_OK);
    struct stat info;
    CHECK(stat(to, &info) == 0);
    int64_t whole = info.st_size;
    unlink(to);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    int64_t limits[] = {0, 1, 1000, 100000, whole / 2, whole - 1000, whole - 8, whole - 1, whole};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit small = before;
        small.rlim_cur = (rlim_t)limits[i];
        setrlimit(RLIMIT_FSIZE, &small);
        coulis_status status = write_part(to, 0, 300, 500, 100, &error);
        setrlimit(RLIMIT_FSIZE, &before);
        CHECK_MSG(status == (limits[i] < whole ? COULIS_IO : COULIS_OK), "%lld: %s", (long long)limits[i],
                  error.message);
        CHECK_MSG(limits[i] >= whole || (strstr(error.message, "File too large") && strstr(error.message, to)), "%s",
                  error.message);
        CHECK(count_files(where) == (limits[i] >= whole));
    }
}

/* The same on a real file system of 256 KiB, where this process may mount one. */
static void full_file_system(void) {
    char where[100], to[128], command[256];
    snprintf(where, sizeof where, "%s/small", folder);
    snprintf(to, sizeof to, "%s/part-00000.parquet", where);
    coulis_error error = {0};
    CHECK(cl_make_folders(where, &error) == COULIS_OK);
    snprintf(command, sizeof command, "mount -t tmpfs -o size=256k none %s 2>/dev/null", where);
    if (system(command) != 0) SKIP("no right to mount a file system");
    CHECK(write_part(to, 0, 300, 500, 100, &error) == COULIS_IO);
    CHECK_MSG(strstr(error.message, "No space left") != NULL, "%s", error.message);
    CHECK(count_files(where) == 0);
    snprintf(command, sizeof command, "umount %s", where);
    CHECK(system(command) == 0);
}

static void survives_short_memory(void) {
    int failed = 0;
    for (int64_t n = 1; n < 30; n++) {
        coulis_error error = {0};
        cl_part_reader *reader = NULL;
        cl_test_fail_allocation(0);
        float *vectors;
        char (*names)[32];
        cl_row *rows = make_rows(0, 20, 30, &vectors, &names);
        const cl_row *read;
        int64_t count;
        cl_test_fail_allocation(n);
        cl_part_writer *writer = NULL;
        coulis_status status = cl_part_writer_open(path, "features", 30, RECIPE, &(cl_extra){0}, &writer, &error);
        if (!status) {
            status = cl_part_writer_write(writer, rows, 20, &error);
            if (status) cl_part_writer_abort(writer);
        }
        if (!status) status = cl_part_writer_commit(writer, &error);
        if (!status) status = cl_part_reader_open(path, "features", &reader, &error);
        if (!status) status = cl_part_reader_read(reader, 0, 1, &read, &count, &error);
        cl_test_fail_allocation(0);
        CHECK_MSG(status == COULIS_OK || status == COULIS_NO_MEMORY || status == COULIS_IO, "%s", error.message);
        failed += status != COULIS_OK;
        cl_part_reader_close(reader);
        cl_free(rows);
        cl_free(vectors);
        cl_free(names);
    }
    CHECK(failed >= 15);
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* Reads all there is; rows are looked at, so that a false pointer shows. */
static coulis_status read_all(const char *from, int64_t *sum) {
    coulis_error error = {0};
    cl_part_reader *reader = NULL;
    coulis_status status = cl_part_reader_open(from, "features", &reader, &error);
    for (int32_t group = 0; !status && group < cl_part_reader_row_groups(reader); group++) {
        const cl_row *rows = NULL;
        int64_t count = 0;
        status = cl_part_reader_read(reader, group, 1, &rows, &count, &error);
        for (int64_t i = 0; i < count && !status; i++) {
            *sum += (int64_t)strlen(rows[i].path) + (int64_t)strlen(rows[i].label) + rows[i].width;
            for (int64_t c = 0; rows[i].vector && c < cl_part_reader_length(reader); c++) *sum += rows[i].vector[c] > 0;
        }
    }
    CHECK((status == COULIS_OK) == (error.status == COULIS_OK));
    CHECK(!status || error.message[0]);
    cl_part_reader_close(reader);
    return status;
}

/* Without the flush of cl_file_write, which thousands of damaged files would wait for. */
static bool write_bytes(const uint8_t *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file) return false;
    const bool written = fwrite(bytes, 1, size, file) == size;
    return fclose(file) == 0 && written;
}

static void survives_damage(void) {
    coulis_error error = {0};
    uint8_t *good = NULL;
    size_t size = 0;
    int64_t sum = 0;
    CHECK(write_part(path, 0, 12, 40, 5, &error) == COULIS_OK);
    CHECK(cl_file_read(path, 1 << 20, &good, &size, &error) == COULIS_OK);
    if (!good) return;
    int refused = 0, tried = 0; /* cut at 100 places */
    for (size_t i = 0; i < 100; i++) {
        CHECK(write_bytes(good, size * i / 100));
        coulis_status status = read_all(path, &sum);
        CHECK_MSG(status == COULIS_BAD_DATA, "cut at %zu: %d", size * i / 100, (int)status);
    }
    /* Changed at 400 places, each in four ways; the footer, where the lengths are, at every byte. */
    size_t footer = (size_t)good[size - 8] + 256 * (size_t)good[size - 7] + 8;
    for (size_t i = 0; i < 400 + footer; i += test_is_quick() ? 5 : 1) {
        size_t place = i < 400 ? (size - footer) * i / 400 : size - footer + (i - 400);
        uint8_t before = good[place];
        static const uint8_t changes[] = {0x01, 0x80, 0xFF, 0x10};
        for (int kind = 0; kind < 4; kind++) {
            good[place] = before ^ changes[kind];
            CHECK(write_bytes(good, size));
            coulis_status status = read_all(path, &sum);
            CHECK_MSG(status == COULIS_OK || status == COULIS_BAD_DATA || status == COULIS_NO_MEMORY, "at %zu: %d",
                      place, (int)status);
            refused += status != COULIS_OK;
            tried++;
        }
        good[place] = before;
    }
    /* A damaged statistic, name or digest of a column is none of a row: those make up half of so small a file. */
    CHECK_MSG(refused > tried * 2 / 5, "%d of %d", refused, tried);
    CHECK(sum > 0);
    cl_free(good);
    CHECK(read_all("/nowhere/at all", &sum) == COULIS_MISSING);
    CHECK(read_all(folder, &sum) == COULIS_IO);
}

static void refuses_other_tables(void) {
    coulis_error error = {0};
    cl_part_reader *reader = NULL;
    CHECK(write_part(path, 0, 12, 40, 5, &error) == COULIS_OK);
    CHECK(cl_part_reader_open(path, "pca", &reader, &error) == COULIS_BAD_DATA);
    CHECK_MSG(strstr(error.message, "no column 'pca'") != NULL, "%s", error.message);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    if (!table_test_start()) return 1;
    RUN(round_trip);
    RUN(no_vectors);
    RUN(same_bytes);
    RUN(rows_of_a_group);
    RUN(gives_up);
    RUN(full_disk);
    RUN(full_file_system);
    RUN(survives_short_memory);
    RUN(survives_damage);
    RUN(refuses_other_tables);
    return table_test_finish();
}
