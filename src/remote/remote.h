/* Objects on other machines: http(s):// and s3://. */
#pragma once

#include <stdio.h>

#include "base/files.h"
#include "remote/object.h"

/* So many objects are asked for at a time: an answer takes a tenth of a second, an image a hundredth. */
#define CL_REMOTE_READERS 32

/* Connections to servers, made when they are first needed. Used by any number of threads. */
typedef struct cl_remote cl_remote;

/* `options` NULL: S3 with keys, which its owner pays for. */
coulis_status cl_remote_create(const cl_remote_options *options, cl_remote **remote, coulis_error *error);
/* NULL is allowed. No thread may be using it. */
void cl_remote_free(cl_remote *remote);

/* Has what is under way end soon, with COULIS_INTERRUPTED. By any thread. */
void cl_remote_stop(cl_remote *remote);

/* Whether a name begins with a scheme and "://": it is then no file of this machine. */
bool cl_remote_has_scheme(const char *name);
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

/* Of S3 alone. Calls `each` for every object whose key begins with that of the address, in the order of keys; at most
 * `limit`, 0: all. `each` returns not COULIS_OK to end with that. */
coulis_status cl_remote_list(cl_remote *remote, const char *address, int64_t limit,
                             coulis_status (*each)(void *context, const cl_remote_object *object, coulis_error *error),
                             void *context, coulis_error *error);
/* The object gets the content of a file, in parts where it is large, and appears whole. */
coulis_status cl_remote_put(cl_remote *remote, const char *address, const char *file, coulis_error *error);
coulis_status cl_remote_delete(cl_remote *remote, const char *address, coulis_error *error);
/* The first letters of the key in use, region and server, as texts of `size` bytes. */
coulis_status cl_remote_describe(cl_remote *remote, const char *address, char *key, char *region, char *server,
                                 size_t size, coulis_error *error);

/* Writes the bytes of an object of any size to a file that was begun, a part at a time. */
coulis_status cl_remote_copy(cl_remote *remote, const char *address, cl_new_file *file, coulis_error *error);

/* What is known of an object, without its bytes. */
coulis_status cl_remote_state(cl_remote *remote, const char *name, cl_file_state *state, coulis_error *error);

/* Opens an object for reading, from the first byte; the stream can be sought, reads a few MiB at a time, and has
 * connections of its own. */
coulis_status cl_remote_open(const cl_remote_options *options, const char *name, FILE **stream, uint64_t *size,
                             cl_file_state *state, coulis_error *error);
