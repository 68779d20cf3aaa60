/* Filling a caller-owned coulis_error. */
#pragma once

#include "coulis.h"

/* Writes `status` and the formatted sentence into `error` (when not NULL) and
 * returns `status`, so that a failing function can `return cl_fail(...)`. A
 * message too long for the buffer is cut at a character boundary. */
__attribute__((format(printf, 3, 4))) coulis_status cl_fail(coulis_error *error, coulis_status status,
                                                            const char *format, ...);

/* cl_fail for an allocation of `bytes` for `what` that could not be had. */
coulis_status cl_fail_memory(coulis_error *error, const char *what, size_t bytes);

/* Sets `error` (when not NULL) to COULIS_OK and an empty message. */
void cl_clear(coulis_error *error);

/* The last line of a public function: on success nothing stands in `error`, whatever was tried in between. Returns
 * `status`. */
coulis_status cl_done(coulis_status status, coulis_error *error);

/* Puts `to` in the place of `from` wherever that stands in the message: a file that stands in for what the caller
 * named. */
void cl_error_rename(coulis_error *error, const char *from, const char *to);
