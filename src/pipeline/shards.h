/* Shares of a job on several machines. Shard I of N makes the parts I - 1, I - 1 + N, I - 1 + 2 N ... of the table
 * that one machine would make, under their numbers and with their bytes; its run.json has "shard" in the recipe.
 * Merging puts them together and does the rest. */
#pragma once

#include "pipeline/job.h"

/* Whether a job makes this part; every job does that is not a shard. */
bool cl_shard_has(const coulis_job_options *options, int64_t part);

/* How many of the first `rows` rows of the table a job makes. */
int64_t cl_shard_rows(const coulis_job_options *options, int64_t rows);

/* A recipe with the name of the shard, "2/8"; a copy where the job is not one. NULL: out of memory. */
char *cl_shard_recipe(const coulis_job_options *options, const char *recipe);

/* Counts the rows of a shard's parts by status into job->summary; fails where there are none. */
coulis_status cl_shard_count(cl_job *job, int64_t rows);
