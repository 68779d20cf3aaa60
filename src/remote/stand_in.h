/* Files of this machine that stand in for what a caller named elsewhere: a copy of an object to read, a file to write
 * that then becomes the object. A name of this machine stands for itself. */
#pragma once

#include "remote/remote.h"

typedef struct cl_stand_in {
    const char *path; /* to read or write */
    /* Of one that is elsewhere; NULL for what stands for itself: */
    const char *name; /* as the caller gave it */
    char *folder;     /* made for it */
    char *own;        /* what `path` is */
    cl_remote *remote;
} cl_stand_in;

/* Whether `name` is served as output: a name of this machine or an address in S3. COULIS_INVALID_ARGUMENT. */
coulis_status cl_check_output(const char *name, coulis_error *error);

/* Makes a folder for what stands in, with nothing in it yet; `name` is in S3. */
coulis_status cl_stand_in_begin(cl_stand_in *in, const char *name, coulis_error *error);

/* A file to write. With `overwrite` false COULIS_CONFLICT when the object exists. */
coulis_status cl_stand_in_new(cl_stand_in *in, const char *name, bool overwrite, coulis_error *error);

/* The end of it: what was written is put where it belongs if `status` is COULIS_OK; the folder goes in any case, and
 * `error` names what the caller named. Returns the status of all. One of all zeros is allowed. */
coulis_status cl_stand_in_put(cl_stand_in *in, coulis_status status, coulis_error *error);
/* The same for what was only read. */
coulis_status cl_stand_in_end(cl_stand_in *in, coulis_status status, coulis_error *error);
