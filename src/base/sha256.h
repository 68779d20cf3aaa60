/* SHA-256 (FIPS 180-4). */
#pragma once

#include "base/base.h"

#define CL_SHA256_TEXT 65 /* 64 hexadecimal digits and a NUL */

typedef struct cl_sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    uint8_t block[64];
    int fast; /* the processor has instructions for it */
} cl_sha256;

void cl_sha256_begin(cl_sha256 *hash);
void cl_sha256_add(cl_sha256 *hash, const void *bytes, size_t size);
void cl_sha256_end(cl_sha256 *hash, char text[CL_SHA256_TEXT]);
void cl_sha256_of(const void *bytes, size_t size, char text[CL_SHA256_TEXT]);
