/* The files of a result in S3, and the run.json that says which of them stand. */
#pragma once

#include "pipeline/parts.h"
#include "remote/remote.h"

typedef struct cl_bucket {
    cl_remote *remote;
    const char *address; /* without a slash at its end */
    const char *scratch; /* a folder of this machine for what is on its way */
    char *run;           /* the content of run.json as it was last read or written here; NULL: there is none */
    cl_parts there;      /* what it lists; the bucket has each of these files, or none of that name */
} cl_bucket;

/* Reads run.json and what it lists. COULIS_CONFLICT where it is none of coulis. */
coulis_status cl_bucket_look(cl_bucket *bucket, coulis_error *error);

/* COULIS_CONFLICT when there is any object below the address; with `ours` only one of a name that a result has. */
coulis_status cl_bucket_must_be_empty(cl_bucket *bucket, bool ours, coulis_error *error);

/* Brings a file that is listed to `to`, under a temporary name: *good says whether it is the one of the record. If so,
 * cl_new_file_commit or _abort is due. */
coulis_status cl_bucket_fetch(cl_bucket *bucket, const cl_part_record *record, const char *to, cl_new_file *file,
                              bool *good, coulis_error *error);

/* Brings `from` there, and remembers the record. */
coulis_status cl_bucket_send(cl_bucket *bucket, const char *from, const cl_part_record *record, coulis_error *error);

/* Forgets what `parts` does not have so. */
void cl_bucket_keep(cl_bucket *bucket, const cl_parts *parts);

/* Removes files of a result that are not listed. */
coulis_status cl_bucket_sweep(cl_bucket *bucket, coulis_error *error);

/* Replaces run.json. COULIS_CONFLICT when it is not the one that was last read or written here. */
coulis_status cl_bucket_put_run(cl_bucket *bucket, const char *text, coulis_error *error);

/* The run.json of a job under way: its recipe and root, the name of its working folder, and what is listed. */
coulis_status cl_bucket_put_begun(cl_bucket *bucket, const cJSON *recipe, const char *root, const char *work,
                                  coulis_error *error);

void cl_bucket_close(cl_bucket *bucket);
