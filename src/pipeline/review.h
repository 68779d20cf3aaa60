/* What of an earlier run can be relied on: each file is checked against its record, and each row against its image. */
#pragma once

#include "pipeline/review_part.h"

/* The images of a job. */
typedef struct cl_images {
    int64_t count; /* -1: not known before the last one */
    int64_t rows_per_file;
    cl_file_state (*state)(const void *context, int64_t row); /* of an image's file as it is now; NULL: not known */
    const void *context;
} cl_images;

/* Removes from DIR/features every part that is not what it must be, or of which an image has changed since (size or
 * time of modification). *missing gets the number of parts that are known to be still to be made. */
coulis_status cl_review_features(const cl_parts *parts, const cl_images *images, const char *recipe, int64_t *missing,
                                 coulis_error *error);

/* Removes from DIR/reduced every part from 0 to `count` - 1 that is not the scores of the PCA with this digest. */
coulis_status cl_review_reduced(const cl_parts *parts, int64_t count, const char *recipe, const char *pca_sha256,
                                coulis_error *error);

/* Whether the PCA in DIR is the one that was written down. */
coulis_status cl_review_pca(const cl_parts *parts, bool *good, coulis_error *error);

/* Whether every file is there that a finished job wrote down. */
coulis_status cl_review_finished(const cl_parts *parts, bool *good, coulis_error *error);
