/* Libraries of the system that are looked for while a program runs, and where our own is. */
#pragma once

#include "base/base.h"

/* Loads a library by name or path; NULL when that cannot be, and why in `reason` (`size` bytes, 0: not wanted). Its
 * code stays in memory for as long as the process runs, as threads of its own may be in it. */
void *cl_library_open(const char *file, char *reason, size_t size);
void *cl_library_symbol(void *library, const char *name);
void cl_library_close(void *library);

/* The folder that coulis itself was loaded from, without a slash at its end; false when it cannot be told. `real`:
 * links are resolved. */
bool cl_library_folder(bool real, char *folder, size_t capacity);
