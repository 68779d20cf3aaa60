/* The rows of an earlier result, to be carried over into a new one: found by path and state of the file, or by the hash
 * of its bytes. */
#pragma once

#include "pipeline/parts.h"

typedef struct cl_earlier cl_earlier;

typedef struct cl_earlier_row {
    size_t path; /* where its text begins */
    cl_file_state file;
    uint8_t sha256[32];
    bool has_sha256;
    int32_t status, width, height;
    int32_t times; /* rows with this path; 0 in all but the first of them */
    int32_t group; /* in which row group of all it is, and the how manieth there */
    int32_t place;
} cl_earlier_row;

/* Reads the rows of the parts of a kind that `parts` names, but for their vectors. `recipe` is that of these parts,
 * NULL where it does not matter. Each part is checked against its digest, as what is carried over gets a new one: rows
 * of a part that is not what was written are left out. `unfinished`: the rows that an interrupted job kept of a part in
 * the making count, too.
 *
 * Memory: for each row some 120 bytes and its path. Released with cl_earlier_close. */
coulis_status cl_earlier_open(const cl_parts *parts, cl_kind kind, const char *recipe, bool unfinished,
                              cl_earlier **earlier, coulis_error *error);
void cl_earlier_close(cl_earlier *earlier);

int64_t cl_earlier_count(const cl_earlier *earlier);
const cl_earlier_row *cl_earlier_row_at(const cl_earlier *earlier, int64_t row);

const char *cl_earlier_path(const cl_earlier *earlier, int64_t row);

/* The first row with this path, as a table has it; -1: none. */
int64_t cl_earlier_with_path(const cl_earlier *earlier, const char *path);

/* The row with a vector of the file of this name, if it was in this state, in which both size and time are known; -1:
 * none. By any thread, as the two below. */
int64_t cl_earlier_unchanged(const cl_earlier *earlier, const char *name, const cl_file_state *now);

/* A row with a vector of a file with these bytes; -1: none. */
int64_t cl_earlier_with_bytes(const cl_earlier *earlier, const char *sha256);

/* Whether a row with a vector is of a file of so many bytes: others need not be hashed. */
bool cl_earlier_has_size(const cl_earlier *earlier, int64_t bytes);

/* The hash of a row as text. */
void cl_earlier_sha256(const cl_earlier *earlier, int64_t row, char sha256[CL_SHA256_TEXT]);

/* Begins to read the first row group, as vectors are about to be taken. By the thread that takes them. */
void cl_earlier_begin(cl_earlier *earlier);

/* Copies the vectors of `count` rows, which have `length` dimensions, each to its place in `to`. A row group
 * is read once for all of them. By one thread. */
coulis_status cl_earlier_vectors(cl_earlier *earlier, const int64_t *rows, float *const *to, int64_t count,
                                 int64_t length, coulis_error *error);
