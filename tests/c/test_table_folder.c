/* Tables: folders of Parquet parts, read as one matrix, and refused when they do not fit together. */
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "table.h"
#include "table/table.h"

static void make_table(const char *where, int32_t parts) {
    char to[160];
    coulis_error error = {0};
    CHECK(cl_make_folders(where, &error) == COULIS_OK);
    for (int32_t i = 0; i < parts; i++) {
        snprintf(to, sizeof to, "%s/part-%05d.parquet", where, i);
        CHECK(write_part(to, i * 20, 20, 33, 6, &error) == COULIS_OK);
    }
}

static void reads_tables(void) {
    char where[100], to[160];
    snprintf(where, sizeof where, "%s/table", folder);
    make_table(where, 4);
    snprintf(to, sizeof to, "%s/.part-00009.parquet.tmp", where);
    coulis_error error = {0};
    CHECK(cl_file_write(to, "x", 1, &error) == COULIS_OK);
    cl_table *table = NULL;
    CHECK_MSG(cl_table_open(where, "features", &table, &error) == COULIS_OK, "%s", error.message);
    if (!table) return;
    CHECK(cl_table_parts(table) == 4 && cl_table_rows(table) == 80 && cl_table_vectors(table) == 64);
    CHECK(cl_table_length(table) == 33 && !strcmp(cl_table_recipe(table), RECIPE));
    cl_rows source = cl_table_vectors_source(table);
    CHECK(source.rows == 64 && source.cols == 33);
    float *out = cl_alloc(64, 33 * sizeof *out);
    /* All at once, singly backwards, and in blocks that fit no row group. */
    static const int64_t steps[] = {64, 1, 7};
    for (size_t s = 0; s < 3; s++) {
        memset(out, 0, 64 * 33 * sizeof *out);
        for (int64_t block = (63 / steps[s]); block >= 0; block--) {
            int64_t first = block * steps[s], count = 64 - first < steps[s] ? 64 - first : steps[s];
            CHECK(source.read(source.context, first, count, out + first * 33, &error) == COULIS_OK);
        }
        int64_t wrong = 0, vector = 0;
        for (int64_t number = 0; number < 80; number++) {
            if (number % 5 == 1) continue;
            for (int64_t c = 0; c < 33; c++) wrong += out[vector * 33 + c] != (float)(number * 1000 + c);
            vector++;
        }
        CHECK(wrong == 0);
        /* Somebody else reading in between does no harm. */
        const cl_row *rows;
        int64_t count;
        CHECK(cl_part_reader_read(cl_table_part(table, 2), 1, 0, &rows, &count, &error) == COULIS_OK && count == 6);
    }
    cl_free(out);
    cl_table_close(table);
}

static void refuses_bad_tables(void) {
    char where[100], to[160];
    coulis_error error = {0};
    cl_table *table = NULL;
    snprintf(where, sizeof where, "%s/bad", folder);
    CHECK(cl_table_open(where, "features", &table, &error) == COULIS_MISSING);
    CHECK(cl_make_folders(where, &error) == COULIS_OK);
    CHECK(cl_table_open(where, "features", &table, &error) == COULIS_BAD_DATA);
    make_table(where, 3);
    CHECK(cl_table_open(where, "pca", &table, &error) == COULIS_BAD_DATA);
    snprintf(to, sizeof to, "%s/part-00001.parquet", where);
    unlink(to);
    CHECK(cl_table_open(where, "features", &table, &error) == COULIS_BAD_DATA);
    CHECK_MSG(strstr(error.message, "part-00001") != NULL, "%s", error.message);
    CHECK(write_part(to, 20, 20, 34, 6, &error) == COULIS_OK);
    CHECK(cl_table_open(where, "features", &table, &error) == COULIS_BAD_DATA);
    CHECK_MSG(strstr(error.message, "34") && strstr(error.message, "33"), "%s", error.message);
    CHECK(table == NULL);
    CHECK(write_part(to, 20, 20, 33, 6, &error) == COULIS_OK);
    CHECK(cl_table_open(where, "features", &table, &error) == COULIS_OK);
    if (!table) return;
    /* A part that is exchanged behind our back. */
    CHECK(write_part(to, 20, 6, 33, 6, &error) == COULIS_OK);
    cl_rows source = cl_table_vectors_source(table);
    float *out = cl_alloc(64, 33 * sizeof *out);
    CHECK(source.read(source.context, 0, source.rows, out, &error) == COULIS_BAD_DATA);
    cl_free(out);
    cl_table_close(table);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    if (!table_test_start()) return 1;
    RUN(reads_tables);
    RUN(refuses_bad_tables);
    return table_test_finish();
}
