/* A job over a folder of output that holds a result of images that are others now. */
#pragma once

#include "pipeline/job.h"

/* Has the PCA of the result in `output` for this job, whose options say so. */
coulis_status cl_grow_keep_pca(cl_job *job, const char *output);

/* Compares the result in job->output, which is complete or grows, with the images; opens job->earlier and tells the
 * plan. *work: there is something to do. */
coulis_status cl_grow_look(cl_job *job, bool *work);

/* Makes the plan without changing anything, and hands it to the caller. */
coulis_status cl_grow_dry_run(cl_job *job, const char *output, const cl_output_wish *wish);

/* The stages of a job, into job->output. */
typedef coulis_status (*cl_stages)(cl_job *job, const char *output, const char *recipe, bool reduce);

/* Makes the new result beside the old one, and puts it in its place. */
coulis_status cl_grow_result(cl_job *job, const char *output, const char *recipe, bool reduce, cl_stages stages);

/* Whether a result that is under way beside a complete one has turned out to be the same: then it is not needed. */
bool cl_grow_is_same(const cl_job *job);
