/* What S3 is told, and what it tells of an object. */
#ifndef CL_REMOTE_OBJECT_H
#define CL_REMOTE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct cl_remote_options {
    bool no_sign_request; /* S3 without keys */
    bool requester_pays;
} cl_remote_options;

typedef struct cl_remote_object {
    const char *key;
    int64_t bytes, modified; /* microseconds since 1970; -1 and INT64_MIN when not told */
} cl_remote_object;

#endif
