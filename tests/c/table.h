/* What the tests of tables share: parts of rows that are known by their numbers, in a folder of the test. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "table/part.h"
#include "test.h"

static char folder[] = "/tmp/coulis-test-XXXXXX";
static char path[128];

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define RECIPE "{\"model\":\"none\"}"

/* `count` rows, of which every fifth (from the second on) has no vector. */
static inline cl_row *make_rows(int64_t first, int64_t count, int64_t length, float **vectors, char (**names)[32]) {
    cl_row *rows = cl_alloc_zero((size_t)count, sizeof *rows);
    *vectors = cl_alloc((size_t)count, (size_t)length * sizeof **vectors);
    *names = cl_alloc((size_t)count, sizeof **names);
    for (int64_t i = 0; i < count; i++) {
        int64_t number = first + i;
        bool good = number % 5 != 1;
        snprintf((*names)[i], 32, "b\xC3\xA4r/%lld.jpg", (long long)number);
        for (int64_t c = 0; c < length; c++) (*vectors)[i * length + c] = (float)(number * 1000 + c);
        rows[i] = (cl_row){.path = (*names)[i],
                           .label = number % 2 ? "b\xC3\xA4r" : "",
                           .status = good ? COULIS_OK : COULIS_UNREADABLE,
                           .error = good ? NULL : "it is damaged",
                           .width = good ? (int32_t)number + 1 : 0,
                           .height = good ? 7 : 0,
                           .vector = good ? *vectors + i * length : NULL,
                           .sha256 = good ? DIGEST : NULL,
                           .file = {good, number % 3 == 0, good ? number << 33 : 0, number % 3 ? 0 : -number}};
    }
    return rows;
}

static inline coulis_status write_part(const char *to, int64_t first, int64_t count, int64_t length, int64_t per_group,
                                       coulis_error *error) {
    float *vectors;
    char (*names)[32];
    cl_row *rows = make_rows(first, count, length, &vectors, &names);
    cl_part_writer *writer = NULL;
    coulis_status status = cl_part_writer_open(to, "features", length, RECIPE, &(cl_extra){0}, &writer, error);
    for (int64_t i = 0; i < count && !status; i += per_group) {
        status = cl_part_writer_write(writer, rows + i, count - i < per_group ? count - i : per_group, error);
        if (status) cl_part_writer_abort(writer);
    }
    if (!status) status = cl_part_writer_commit(writer, error);
    cl_free(rows);
    cl_free(vectors);
    cl_free(names);
    return status;
}

/* Makes the folder; false when that fails. */
static inline bool table_test_start(void) {
    if (!mkdtemp(folder)) return false;
    snprintf(path, sizeof path, "%s/part-00000.parquet", folder);
    return true;
}

/* Takes the folder away; what main returns. */
static inline int table_test_finish(void) {
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) || test_finish();
}
