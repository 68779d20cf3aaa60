/* A source that the caller made: its functions are checked, and what they answer, before the job relies on it. */
#pragma once

#include "base/base.h"

typedef struct cl_given {
    coulis_source table; /* to be used instead of the caller's; its context is this struct, which may not move */
    coulis_source own;   /* the caller's functions */
    int64_t taken;       /* items so far */
} cl_given;

/* COULIS_INVALID_ARGUMENT when a function or the identity is missing, or when a column has no name of its own. The
 * caller's texts and context must live as long as this. */
coulis_status cl_given_open(const coulis_source *source, cl_given *given, coulis_error *error);
