/* What has become of the images since an earlier result. */
#pragma once

#include "pipeline/earlier.h"
#include "source/inputs.h"

/* Compares all images with the rows of `earlier` (NULL: there are none), by the state of their files, and where that
 * does not tell, by the hash of their bytes. The inputs begin again afterwards. Stops with COULIS_INTERRUPTED when
 * options->progress says so. */
coulis_status cl_plan_make(cl_inputs *inputs, const cl_earlier *earlier, const coulis_job_options *options,
                           coulis_plan *plan, coulis_error *error);

/* Whether anything is to be done. */
bool cl_plan_has_work(const coulis_plan *plan);

/* As JSON, with a newline at its end; NULL when memory is short; released with cl_free. */
char *cl_plan_json(const coulis_plan *plan);
