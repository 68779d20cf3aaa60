/* What a name stands for: a file of this machine, or an address elsewhere. The one way by which images are read. */
#pragma once

#include <stdio.h>

#include "remote/remote.h"

/* Whether a name begins with a scheme and "://": it is then no file of this machine. */
bool cl_location_has_scheme(const char *name);

/* Fails with `status` and a sentence, for a name whose scheme is not served. */
coulis_status cl_location_refuse(const char *name, coulis_status status, coulis_error *error);

/* Whether a name is of another machine, and its scheme is served. */
bool cl_location_is_remote(const char *name);

/* The folders and the last name of an address, without scheme and server or bucket, as files have them: of http(s)
 * without what follows a question mark, and with %XX resolved. NULL when memory is short; released with cl_free. */
char *cl_location_path(const char *name);

/* Reads the whole of what `name` stands for: the statuses of cl_image_read_file, and those of cl_remote_read for what
 * is elsewhere, which is read by `remote`. COULIS_UNREADABLE for a scheme that is not served. *bytes is released with
 * cl_free; `state` (may be NULL) gets what is known of it. */
coulis_status cl_location_read(cl_remote *remote, const char *name, int64_t max_bytes, uint8_t **bytes, size_t *size,
                               cl_file_state *state, coulis_error *error);

/* How S3 is to be asked; NULL: the defaults. */
cl_remote_options cl_location_options(const coulis_source_options *options);

/* What is known of it without its bytes; nothing of a file that is not there. */
coulis_status cl_location_state(const char *name, const coulis_source_options *options, cl_file_state *state,
                                coulis_error *error);

/* Opens it for reading, from the first byte; the stream can be sought. COULIS_MISSING or COULIS_IO. */
coulis_status cl_location_open(const char *name, const coulis_source_options *options, FILE **stream, uint64_t *size,
                               coulis_error *error);
