/* The stage from files to parts of vectors. */
#pragma once

#include "pipeline/earlier.h"
#include "pipeline/parts.h"
#include "pipeline/review.h"

/* Writes every part of `source` that is not in `folder` yet, `rows_per_file` rows each, under `recipe`. Vectors that
 * `earlier` (NULL for none) has are carried over.
 * Reading, decoding and network, and writing overlap: readers fetch files ahead into a bounded queue, workers turn
 * them into vectors, the calling thread writes row groups in order. Memory depends on the vector's length and
 * the number of threads.
 *
 * What is in `folder` has been reviewed (review.h); each part is written down in `parts`. *rows gets the number of
 * items, *resumed how many of them an earlier run had made. options->progress returning not 0 stops at once, keeps
 * the rows that are finished, and gives COULIS_INTERRUPTED. */
coulis_status cl_featurize(const coulis_source *source, const coulis_model *model, const coulis_job_options *options,
                           const cl_images *images, cl_earlier *earlier, const char *folder, const char *recipe,
                           cl_parts *parts, int64_t *rows, int64_t *resumed, coulis_error *error);
