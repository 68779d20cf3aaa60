/* The digest of a file, made by a thread while its owner does something else with it. */
#pragma once

#include "base/sha256.h"
#include "base/sync.h"

typedef struct cl_digest {
    const char *path;
    cl_beside beside;
    coulis_status status;
    coulis_error error;
    char sha256[CL_SHA256_TEXT];
} cl_digest;

/* `path` must live until the end. Where no thread can be started, the digest is made at once. */
void cl_digest_begin(cl_digest *digest, const char *path);

/* Waits; then `sha256` is there, unless it is a failure. */
coulis_status cl_digest_end(cl_digest *digest, coulis_error *error);
