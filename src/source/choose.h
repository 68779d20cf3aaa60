/* Which files are taken: patterns, and what systems leave in folders. */
#pragma once

#include "base/base.h"

typedef enum cl_verdict {
    CL_TAKE = 0,
    CL_SYSTEM = 1,   /* thumbnails, trash and the like */
    CL_HIDDEN = 2,   /* its name begins with a dot */
    CL_EXCLUDED = 3, /* by --include or --exclude */
    CL_VERDICTS = 4
} cl_verdict;

/* Bytes of a pattern at most. */
#define CL_GLOB_MAX 1023

/* Whether `pattern` (at most CL_GLOB_MAX bytes) matches the whole of `text`: * any characters but a slash, ** any, ?
 * one but a slash, [a-z] and [!a-z] one of a set, \ the next one as it is. "**" and a slash match no folder, too.
 * Characters are those of UTF-8. */
bool cl_glob(const char *pattern, const char *text);

/* COULIS_INVALID_ARGUMENT when a pattern is empty or too long. */
coulis_status cl_choose_check(const coulis_source_options *options, coulis_error *error);

/* Whether --include and --exclude let a file through. `path` is the way from the PATH given; a pattern without a slash
 * is matched against its last name (for --exclude: against each of its names), another one against the whole. */
cl_verdict cl_choose_file(const coulis_source_options *options, const char *path);

/* Whether a folder below a PATH is entered. */
cl_verdict cl_choose_folder(const coulis_source_options *options, const char *path);

/* Whether a file or folder is of the system or hidden, by its name. */
cl_verdict cl_choose_name(const coulis_source_options *options, const char *name);

/* The same for every name of a path, as archives and object stores have them: folders are not entered one by one. */
cl_verdict cl_choose_names(const coulis_source_options *options, const char *path);
