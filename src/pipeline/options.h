/* The options of featurizers and jobs, complete: the caller's over the library's defaults, and checked. */
#pragma once

#include "base/base.h"

/* Where `featurizer.image` points to `image`. Not to be copied or moved. */
typedef struct cl_featurizer_options {
    coulis_featurizer_options featurizer;
    coulis_image_options image;
} cl_featurizer_options;

/* Where `job.featurizer` points to `featurizer.featurizer`. Not to be copied or moved. */
typedef struct cl_job_options {
    coulis_job_options job;
    cl_featurizer_options featurizer;
} cl_job_options;

/* NULL gives the defaults. COULIS_INVALID_ARGUMENT with a sentence on a value that is not allowed. Strings and what
 * they point to stay the caller's. */
coulis_status cl_featurizer_options_read(const coulis_featurizer_options *given, cl_featurizer_options *own,
                                         coulis_error *error);
coulis_status cl_job_options_read(const coulis_job_options *given, cl_job_options *own, coulis_error *error);
