/* What is on the disk: what a path names, the names in a folder, the bytes of a file as they are now. Where a function
 * returns false, NULL or a negative number, errno says why. */
#pragma once

#include "base/base.h"

typedef enum cl_path_kind {
    CL_PATH_FILE,
    CL_PATH_FOLDER,
    CL_PATH_LINK,
    CL_PATH_PIPE,
    CL_PATH_SOCKET,
    CL_PATH_DEVICE,
} cl_path_kind;

typedef struct cl_about {
    cl_path_kind kind;
    int64_t bytes;
    int64_t modified;        /* microseconds since 1970, UTC, rounded down */
    uint64_t device, number; /* equal for the same file or folder */
} cl_about;

/* Of what a path names; links are followed. */
bool cl_look(const char *path, cl_about *about);

/* Whether both are the same file or folder, whatever the names. */
bool cl_same_place(const cl_about *one, const cl_about *other);

bool cl_path_exists(const char *path);

/* The folder in which the program runs, and a path without links and dots; both are released with cl_free. */
char *cl_working_folder(void);
char *cl_real_path(const char *path);

/* ---- the names in a folder, in no order, without . and .. ---- */

typedef struct cl_listing cl_listing;

cl_listing *cl_listing_open(const char *folder);
void cl_listing_close(cl_listing *listing);

/* NULL at the end, with errno 0. A name lives until the next is asked for. */
const char *cl_listing_next(cl_listing *listing);

/* The names in `folder`; *listing is NULL where there is no such folder, which is not a failure. */
coulis_status cl_listing_find(const char *folder, cl_listing **listing, coulis_error *error);

/* The next name; *status is set when the folder cannot be read. NULL has no names. */
const char *cl_next_name(cl_listing *listing, const char *folder, coulis_status *status, coulis_error *error);

/* Of the folder itself, and of a name in it; links are not followed. */
bool cl_listing_about(const cl_listing *listing, cl_about *about);
bool cl_listing_look(const cl_listing *listing, const char *name, cl_about *about);

/* ---- files by descriptor ---- */

/* open, again as long as a signal comes in between; O_CLOEXEC is added. */
int cl_open(const char *path, int flags);

/* To be read. A pipe without a writer is opened, too, and not waited for. */
int cl_open_to_read(const char *path);
bool cl_look_open(int descriptor, cl_about *about);

/* Up to `size` bytes; fewer at the end of the file. 0, or the number of the error. */
int cl_read_all(int descriptor, void *bytes, size_t size, size_t *got);

/* A file that grows line by line, made where there is none; opened at the end of its last whole line, as what follows
 * was cut off. */
int cl_open_to_append(const char *path);

/* Flushes what was written to a descriptor to the disk; errno says why not. */
bool cl_flush(int descriptor);

/* Writes all of it. */
bool cl_append(int descriptor, const void *bytes, size_t size);

void cl_close(int descriptor);

/* Gives a file a second name; many file systems know none. */
bool cl_link(const char *from, const char *to);
