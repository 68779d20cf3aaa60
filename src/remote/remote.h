/* Objects on other machines: http(s):// and s3://. */
#ifndef CL_REMOTE_REMOTE_H
#define CL_REMOTE_REMOTE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/files.h"

/* So many objects are asked for at a time: an answer takes a tenth of a second, an image a hundredth. */
#define CL_REMOTE_READERS 32

/* Connections to servers, made when they are first needed. Used by any number of threads. */
typedef struct cl_remote cl_remote;

coulis_status cl_remote_create(cl_remote **remote, coulis_error *error);
/* NULL is allowed. No thread may be using it. */
void cl_remote_free(cl_remote *remote);

/* Has what is under way end soon, with COULIS_INTERRUPTED. By any thread. */
void cl_remote_stop(cl_remote *remote);

/* Whether the scheme of a name is one of those that are read here; case does not matter. */
bool cl_remote_serves(const char *name);
bool cl_remote_is_s3(const char *name);

/* Reads the whole of an object of at most `max_bytes`: the statuses of cl_image_read_file, or COULIS_IO when it is not
 * the object that cannot be had but its server, and COULIS_INTERRUPTED. *bytes is released with cl_free. */
coulis_status cl_remote_read(cl_remote *remote, const char *name, int64_t max_bytes, uint8_t **bytes, size_t *size,
                             cl_file_state *state, coulis_error *error);

/* The `size` bytes from `first` on into `bytes`; *got is less only at the end, *total is the size of the whole. */
coulis_status cl_remote_read_part(cl_remote *remote, const char *name, int64_t first, size_t size, uint8_t *bytes,
                                  size_t *got, int64_t *total, cl_file_state *state, coulis_error *error);

/* What is known of an object, without its bytes. */
coulis_status cl_remote_state(cl_remote *remote, const char *name, cl_file_state *state, coulis_error *error);

/* Opens an object for reading, from the first byte; the stream can be sought, reads a few MiB at a time, and has
 * connections of its own. */
coulis_status cl_remote_open(const char *name, FILE **stream, uint64_t *size, cl_file_state *state,
                             coulis_error *error);

#endif
