/* Structs of the interface that begin with their size, so that programs built against another header keep working. */
#pragma once

#include "base/base.h"

/* For coulis_X_init(given, given_size): writes the smaller of both sizes of `defaults`, zeros behind it, and
 * given_size as the size. Does nothing when there is no room for a size. */
void cl_sized_init(void *given, size_t given_size, const void *defaults, size_t size);

/* Copies what the caller knows of `given` over `own`, which holds the library's defaults and keeps its size.
 * NULL leaves the defaults. COULIS_INVALID_ARGUMENT when `given` was not set up, or sets a field that this library
 * does not know; the sentence names it by `type`, as in "coulis_job_options". */
coulis_status cl_sized_read(const void *given, const char *type, void *own, size_t size, coulis_error *error);

/* Copies what the caller knows of `own` into `given`, whose size was set by its init; false when it was not. */
bool cl_sized_write(void *given, const void *own, size_t size);
