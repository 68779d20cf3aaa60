/* The stages from parts of vectors to PCA, and to parts of scores. */
#ifndef CL_PIPELINE_REDUCE_H
#define CL_PIPELINE_REDUCE_H

#include "base/threads.h"
#include "table/table.h"

/* Fits a PCA to the vectors of `table`, reporting progress as COULIS_STAGE_FIT. */
coulis_status cl_fit_table(cl_table *table, const coulis_job_options *options, cl_pool *pool, coulis_pca **pca,
                           coulis_error *error);

/* Writes the scores of every part of `table` that is not in `folder` yet, under `recipe`; stops
 * after the part at hand when options->progress says so. */
coulis_status cl_transform_table(cl_table *table, const coulis_pca *pca, const coulis_job_options *options,
                                 cl_pool *pool, const char *folder, const char *recipe, coulis_error *error);

/* How many rows have each status: counts[status], 0 to COULIS_MISSING. */
coulis_status cl_count_statuses(cl_table *table, int64_t counts[COULIS_MISSING + 1], coulis_error *error);

#endif
