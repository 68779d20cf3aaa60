/* Objects of S3. The library loads what speaks with S3, libcoulis_s3.so, when the first address needs it: it stands on
 * AWS's libraries and the system's OpenSSL, which nothing else asks for. */
#pragma once

#include "remote/fetch.h"
#include "remote/object.h"

#define CL_S3_INTERFACE 1
#define CL_S3_SYMBOL "coulis_s3_calls"

typedef struct cl_s3_state cl_s3_state;

/* Statuses: 1 to 5 for what belongs to one object; COULIS_IO for the service, the keys or the network;
 * COULIS_INTERRUPTED when `stop` was set. Addresses are s3://BUCKET/KEY, the key's bytes as they are. */
typedef struct cl_s3_calls {
    int32_t interface; /* CL_S3_INTERFACE */
    /* `stop` must outlive it. */
    coulis_status (*create)(cl_stop *stop, const cl_remote_options *options, cl_s3_state **state, coulis_error *error);
    void (*close)(cl_s3_state *state);
    coulis_status (*get)(cl_s3_state *state, cl_fetch *fetch, coulis_error *error);
    /* Calls `each` for every object whose key begins with that of the address, in the order of their bytes, at most
     * `limit` (0: all); `each` returns not COULIS_OK to end with that. */
    coulis_status (*list)(cl_s3_state *state, const char *address, int64_t limit,
                          coulis_status (*each)(void *context, const cl_remote_object *object, coulis_error *error),
                          void *context, coulis_error *error);
    /* The object gets the content of the file, in parts where it is large, and appears whole. */
    coulis_status (*put)(cl_s3_state *state, const char *address, const char *file, coulis_error *error);
    coulis_status (*remove)(cl_s3_state *state, const char *address, coulis_error *error);
    /* The first letters of the key in use, the region and the server of the bucket, as texts of `size` bytes each. */
    coulis_status (*describe)(cl_s3_state *state, const char *address, char *key, char *region, char *server,
                              size_t size, coulis_error *error);
} cl_s3_calls;

/* COULIS_IO with a sentence when it is not there. */
coulis_status cl_s3_load(const cl_s3_calls **calls, coulis_error *error);
