/* Libraries of the system that are looked for when an image needs them: no package of coulis can bring them along. */
#pragma once

#include "image/source.h"

typedef struct cl_late {
    const char *format, *package; /* for the sentence when it is missing */
    const char *const *files;     /* names to try, NULL behind the last */
    const char *const *symbols;   /* likewise: all must be there */
} cl_late;

/* Loads the library and stores the addresses of its symbols, in their order, at `functions`. It stays loaded: closing
 * *handle returns no more than the handle. COULIS_UNSUPPORTED with the package's name when it is not there. */
coulis_status cl_late_load(const cl_source *image, const cl_late *library, void **functions, void **handle);
void cl_late_close(void *handle);
