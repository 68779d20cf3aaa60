/* Files and folders: reading one whole, and writing one so that it appears whole or not at all. */
#pragma once

#include <stdio.h>

#include "base/disk.h"
#include "base/sha256.h"

/* Whether an errno says that the machine is out of something (descriptors, memory, space) or that its network is down,
 * rather than something about one file. */
bool cl_of_the_machine(int number);

/* Reads a whole regular file of at most `max_bytes` into fresh memory (*bytes, released with
 * cl_free; one NUL follows the last byte). COULIS_MISSING, COULIS_IO or COULIS_NO_MEMORY. */
coulis_status cl_file_read(const char *path, int64_t max_bytes, uint8_t **bytes, size_t *size, coulis_error *error);

/* Opens a regular file for reading and tells its size. COULIS_MISSING or COULIS_IO. */
coulis_status cl_file_open(const char *path, FILE **stream, uint64_t *size, coulis_error *error);

/* By what a change of a file's content shows. All zeros: nothing is known. */
typedef struct cl_file_state {
    bool has_bytes, has_modified;
    int64_t bytes;
    int64_t modified; /* microseconds since 1970, UTC, rounded down */
} cl_file_state;

/* The state of a regular file; nothing of anything else. */
cl_file_state cl_file_state_of(const cl_about *about);

/* The same by name; nothing of a file that is not there or cannot be seen. Fails where cl_of_the_machine says so. */
coulis_status cl_file_state_at(const char *path, cl_file_state *state, coulis_error *error);

bool cl_file_state_equal(const cl_file_state *one, const cl_file_state *other);

/* What is on the disk, whatever happens, once a new file has its name. */
typedef enum cl_flushing {
    CL_FLUSH_ALL,     /* the file and its name */
    CL_FLUSH_CONTENT, /* the file: the folder is flushed later, so that the name may be lost until then */
    CL_FLUSH_NOTHING  /* nothing: a file that is not whole is told by those who read it, and made again */
} cl_flushing;

/* A file being written under a temporary name (".NAME.tmp") in the folder of its final one. */
typedef struct cl_new_file {
    char *path;
    char *temporary;
    FILE *stream;
    struct cl_sink *sink; /* what the stream writes to: counts and hashes */
    int number;           /* errno of the first write that failed */
    bool flushed;
    cl_flushing flushing;
    int64_t bytes;               /* once it is flushed */
    char sha256[CL_SHA256_TEXT]; /* likewise */
} cl_new_file;

/* COULIS_CONFLICT when another process is writing a file of that name. */
coulis_status cl_new_file_begin(cl_new_file *file, const char *path, coulis_error *error);

/* Writes to the stream; after a failure it does nothing, and commit tells of it. */
void cl_new_file_write(cl_new_file *file, const void *bytes, size_t size);

/* For those who write to the stream themselves: call right after a write failed, while errno says why. */
void cl_new_file_failed(cl_new_file *file);

/* Everything is written: flushes the file to disk, so that its size and digest are known before it has its name.
 * On failure `file` is released and the temporary file removed. */
coulis_status cl_new_file_flush(cl_new_file *file, coulis_error *error);

/* Flushes the file to disk, renames it to its name and flushes the folder, unless `flushing` asks for less. Releases
 * `file` in any case; on failure the temporary file is removed and nothing stands under the final name that
 * did not stand there before. */
coulis_status cl_new_file_commit(cl_new_file *file, coulis_error *error);

/* Gives up: releases `file` and removes the temporary file. */
void cl_new_file_abort(cl_new_file *file);

/* The three above for bytes that are all there. */
coulis_status cl_file_write(const char *path, const void *bytes, size_t size, coulis_error *error);

/* Makes the folder `path` and those above it that are missing, and flushes the folders that hold their names. */
coulis_status cl_make_folders(const char *path, coulis_error *error);

/* Removes a file, or an empty folder; one that is not there is no error. */
coulis_status cl_remove(const char *path, coulis_error *error);

/* Flushes the folder `path`: what was made, renamed and removed in it stays so when power is lost. */
coulis_status cl_flush_folder(const char *path, coulis_error *error);

/* SHA-256 of a file as it is read now. */
coulis_status cl_file_sha256(const char *path, int64_t *bytes, char sha256[CL_SHA256_TEXT], coulis_error *error);
