/* A result in S3. The job works in a folder of this machine, as any other does; what it makes is brought to the bucket
 * as it is made, and run.json last.
 *
 * The working folder is WORK/<digest of the address>, with the folder of the job, "result", in it. WORK is what the
 * caller says, or the user's cache. When all of the result is in the bucket, it is removed.
 *
 * As long as the job is under way, run.json in the bucket says so, names the working folder it comes from (a random
 * name), and lists the files that are there, with their digests, and stand. So
 *
 *  - who reads the bucket is never told of a result that is not there: run.json becomes that of a finished result when
 *    all else is there, and is taken back before any of it changes;
 *  - the job goes on from its working folder where that is the one named; otherwise, on another machine for example,
 *    from what is listed, which is fetched and checked against the digests. What is not listed is made again. */
#pragma once

#include "pipeline/output.h"

typedef struct cl_mirror cl_mirror;

/* Locks the working folder, makes it if need be, and looks what the bucket has. COULIS_CONFLICT where something else is
 * in the way. `options` must outlive it. */
coulis_status cl_mirror_open(const char *address, const coulis_job_options *options, cl_mirror **mirror,
                             coulis_error *error);

/* The folder of the job. */
const char *cl_mirror_folder(const cl_mirror *mirror);

/* Brings here what the bucket has and the working folder has not, unless the job is to start again. `wish` (NULL: not
 * known yet): how the folder is going to be opened; what that refuses is not brought. */
coulis_status cl_mirror_settle(cl_mirror *mirror, const cl_output_wish *wish, coulis_error *error);

/* The folder is open and will change: says so in the bucket, removes there what does not stand any more, and has each
 * file brought there that gets its name from now on. */
coulis_status cl_mirror_begin(cl_mirror *mirror, cl_output *output, const cl_output_wish *wish, coulis_error *error);

/* The job is done, and its run.json written: the bucket gets the rest, run.json last. */
coulis_status cl_mirror_finish(cl_mirror *mirror, coulis_error *error);

/* Unlocks the working folder, and removes it once the result is in the bucket. A message names the bucket, not that
 * folder. NULL is allowed. */
void cl_mirror_close(cl_mirror *mirror, coulis_error *error);
