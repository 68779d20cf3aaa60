/* Whether one file of an earlier run is what was written. */
#pragma once

#include "pipeline/parts.h"

/* What a part must be. */
typedef struct cl_expected {
    const char *recipe;     /* JSON; NULL: not known, any will do */
    const char *pca_sha256; /* of reduced parts; NULL: likewise */
    int64_t rows;           /* -1: likewise */
} cl_expected;

/* Holds a part against its record without reading its rows: is it there, of that size, with a footer that names as many
 * rows, the recipe, the number and the PCA. *good says whether, and `why` (may be NULL) gets a sentence where not. The
 * status is that of a machine that failed. */
coulis_status cl_review_part(const cl_parts *parts, cl_kind kind, int64_t number, const cl_expected *expected,
                             bool *good, coulis_error *why, coulis_error *error);

/* The path of the file that a record names; NULL when memory is short; released with cl_free. */
char *cl_review_path(const cl_parts *parts, cl_kind kind, int64_t number);
