/* One result takes the place of another.
 *
 * The new one is made in DIR/.next, as a result of its own, while the old one stays whole. When its run.json says that
 * it is complete, DIR/run.json is replaced by one that says that it is not, and that it is being replaced; the files
 * come to their places, and in the end the new run.json does. The files in .next stay until then, as second names of
 * the same files where the disk can do that: so all of this can be done again, from the beginning, after it was
 * interrupted at any moment. */
#pragma once

#include <cjson/cJSON.h>

#include "base/base.h"

/* The folder of the new result; NULL when memory is short; released with cl_free. */
char *cl_next_folder(const char *folder);

/* Puts the complete result in DIR/.next into the place of that in DIR, which is locked. COULIS_MISSING: there is
 * none. */
coulis_status cl_replace(const char *folder, coulis_error *error);

/* Whether a run.json says that its result is being replaced. */
bool cl_is_replacing(const cJSON *run);

/* Removes DIR/.next, but for files that coulis does not write. */
coulis_status cl_next_remove(const char *folder, coulis_error *error);
