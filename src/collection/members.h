/* Images within archives and tables, read again: such a file is walked from its first item to its last, once where its
 * images are asked for in their order. */
#pragma once

#include "remote/remote.h"
#include "source/many.h"

/* Where the walk has come to. */
typedef struct cl_members {
    coulis_source_options options;
    cl_many *open;
    char *archive; /* that is open */
    int64_t at;    /* items of it that were given */
    char *asked;   /* a name that was looked at, and whether it is an archive's */
    bool is_archive;
} cl_members;

/* `how`: S3 is to be asked. */
void cl_members_begin(cl_members *members, const cl_remote_options *how);
void cl_members_end(cl_members *members);

/* *length: how many bytes of `path` name the archive or table that its image is in; 0: in none. `remote` may be NULL
 * where the path is of this machine. */
coulis_status cl_members_find(cl_members *members, cl_remote *remote, const char *path, size_t *length,
                              coulis_error *error);

/* Takes what was read of the image `number`: bytes, which are then its own, or a status below COULIS_INVALID_ARGUMENT
 * and why. It returns not COULIS_OK to end the walk with that. */
typedef coulis_status (*cl_member_take)(void *context, int64_t number, uint8_t *bytes, size_t size,
                                        const coulis_error *reason, coulis_error *error);

/* Reads the images paths[numbers[0]] to paths[numbers[count - 1]], all of them in the archive that the first `length`
 * bytes of each name, and gives each of them to `take` once, in the order of the archive. */
coulis_status cl_members_read(cl_members *members, const char *const *paths, const int64_t *numbers, int64_t count,
                              size_t length, int64_t max_bytes, cl_member_take take, void *context,
                              coulis_error *error);
