/* One object to be read from a server, and what came of it. */
#pragma once

#include <stdatomic.h>

#include "base/files.h"
#include "base/sync.h"

/* A request is made so often, with pauses that double from the first on: 6 seconds in all. */
#define CL_FETCH_TRIES 6
#define CL_FETCH_PAUSE 0.2
/* A pause that a server asks for is kept up to this. */
#define CL_FETCH_PAUSE_MAX 60.0
/* Seconds until a server must have accepted the connection, and in which it may send nearly nothing. */
#define CL_FETCH_CONNECT 15L
#define CL_FETCH_SILENCE 30L
#define CL_FETCH_SLOWEST 100L /* bytes in each of those seconds */

typedef struct cl_fetch {
    const char *name;
    int64_t max_bytes;
    int64_t first; /* -1: the whole object; else `max_bytes` bytes from here, fewer at its end */
    /* out */
    uint8_t *bytes; /* released with cl_free */
    size_t size, capacity;
    int64_t total; /* of a part: bytes of the whole object */
    bool tagged;   /* S3: the server gave a tag of its content, by which several parts are known to be of one state */
    cl_file_state state;
} cl_fetch;

/* Room for what a response brings; false when it is more than max_bytes or memory is short, which *no_memory says. */
bool cl_fetch_append(cl_fetch *fetch, const void *bytes, size_t size, bool *no_memory);

/* "is empty" and the like, as of files: COULIS_OK when the bytes are good. */
coulis_status cl_fetch_check(const cl_fetch *fetch, coulis_error *error);
coulis_status cl_fetch_too_large(const cl_fetch *fetch, int64_t bytes, coulis_error *error);

/* Throws the bytes away. */
void cl_fetch_clear(cl_fetch *fetch);

/* A flag that ends waiting. */
typedef struct cl_stop {
    cl_mutex mutex;
    cl_condition stopped;
    atomic_bool is_set;
} cl_stop;

void cl_stop_begin(cl_stop *stop);
void cl_stop_end(cl_stop *stop);
void cl_stop_set(cl_stop *stop);

/* Waits before try number `tries` (1: the second); `asked`: seconds that the server asked for, 0 for none. False when
 * the flag was set meanwhile. */
bool cl_stop_pause(cl_stop *stop, int tries, double asked);
