/* Starting again in a folder that holds a result. */
#pragma once

#include "pipeline/output_files.h"

/* Removes the result in an open (locked) folder. run.json goes first and for good, so that nothing that remains when
 * this is interrupted can be taken for a result; then the files that coulis is known to have written: those that
 * run.json or the journal name, and those whose own footer says so. A file of another origin that stands where the new
 * result is to go is COULIS_CONFLICT, before anything is removed.
 *
 * `has_run`: there is a run.json; `there` is its content, NULL when that is not JSON. */
coulis_status cl_overwrite(cl_output *output, bool has_run, const cJSON *there, coulis_error *error);

/* Adds to the records the parts of a kind that none names but whose footer says that coulis wrote them; another file of
 * such a name is COULIS_CONFLICT. */
coulis_status cl_overwrite_find(cl_output *output, cl_kind kind, coulis_error *error);
