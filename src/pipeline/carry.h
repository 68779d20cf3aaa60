/* Which rows of an earlier result the items of a new job have. */
#pragma once

#include "pipeline/earlier.h"

typedef struct cl_carry {
    const cl_earlier *earlier; /* NULL: there is none */
    /* The state of an item's file as it is now; NULL: what the item says. */
    cl_file_state (*state)(const void *context, int64_t number);
    const void *context;
} cl_carry;

/* The earlier row of item `number`, found by the state of its file before it is read, which the item says then; -1:
 * none. */
int64_t cl_carry_find(const cl_carry *carry, int64_t number, coulis_item *item);

/* What an earlier row says of its image. */
void cl_carry_take(const cl_carry *carry, int64_t row, coulis_result *result, char sha256[CL_SHA256_TEXT]);

/* The earlier row of bytes with this hash, and what it says of the image; -1: none. */
int64_t cl_carry_hashed(const cl_carry *carry, const char *sha256, coulis_result *result);
