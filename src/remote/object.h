/* What S3 is told, and what it tells of an object. */
#pragma once

#include "base/base.h"

typedef struct cl_remote_options {
    bool no_sign_request; /* S3 without keys */
    bool requester_pays;
} cl_remote_options;

/* Of a caller's options, which coulis.h has as numbers. */
static inline cl_remote_options cl_remote_how(int32_t no_sign_request, int32_t requester_pays) {
    return (cl_remote_options){.no_sign_request = no_sign_request != 0, .requester_pays = requester_pays != 0};
}

typedef struct cl_remote_object {
    const char *key;
    int64_t bytes, modified; /* microseconds since 1970; -1 and INT64_MIN when not told */
} cl_remote_object;
