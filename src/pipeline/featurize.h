/* The stage from files to parts of vectors. */
#ifndef CL_PIPELINE_FEATURIZE_H
#define CL_PIPELINE_FEATURIZE_H

#include "pipeline/list.h"

/* Writes every part of `list` that is not in `folder` yet, `rows_per_file` rows each, under `recipe`.
 * Reading, decoding and network, and writing overlap: readers fetch files ahead into a bounded queue, workers turn
 * them into vectors, the calling thread writes row groups in order. Memory depends on the vector's length and
 * the number of threads; of each picture only its path and at most 24 bytes of a schedule are held.
 *
 * *resumed gets the number of rows that an earlier run had written. options->progress returning not 0 stops
 * after the part at hand with COULIS_INTERRUPTED. */
coulis_status cl_featurize(const cl_list *list, const coulis_model *model, const coulis_job_options *options,
                           const char *folder, const char *recipe, int64_t *resumed, coulis_error *error);

#endif
