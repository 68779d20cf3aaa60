/* A job of the command on its way: what it holds, and the stages that its verbs are made of. */
#pragma once

#include "base/threads.h"
#include "pipeline/earlier.h"
#include "pipeline/mirror.h"
#include "pipeline/options.h"
#include "pipeline/output.h"
#include "pipeline/reduce.h"
#include "pipeline/summary.h"
#include "source/given.h"
#include "source/inputs.h"

/* What a job holds, released at its end. */
typedef struct cl_job {
    cl_job_options own;
    const coulis_job_options *options; /* &own.job, complete */
    coulis_job_result *result;         /* the caller's, may be NULL */
    char **json;                       /* likewise */
    cl_inputs *inputs;                 /* made here; NULL when the caller brought a source */
    cl_given given;                    /* the caller's source */
    coulis_source source;
    coulis_model *model;
    coulis_model_info model_info;
    cl_table *table;
    cl_pool *pool;
    coulis_pca *pca;
    cl_output output;
    const char *place;         /* the folder of the output: as the caller named it, or the one that works for S3 */
    cl_mirror *mirror;         /* NULL for a folder of this machine */
    cl_earlier *earlier;       /* rows to carry over, NULL for none */
    const cl_output *replaced; /* what the result takes the place of when it is finished; NULL: of nothing */
    bool unchanged;            /* it has turned out to be the same as that */
    char *recipe, *features_recipe;
    char *kept;       /* the path of the PCA that is kept */
    cl_spread spread; /* of the rows that a PCA of others reduces */
    double share;
    cl_summary summary;
    coulis_error *error;
} cl_job;

void cl_job_release(cl_job *job);

/* Writes down that a stage took the time since `began`. */
void cl_job_took(cl_job *job, coulis_stage stage, double began);

/* Lists the images, opens the model and settles the recipe of the vectors. `output` is passed over in folders. */
coulis_status cl_job_begin(cl_job *job, const char *const *paths, int64_t path_count, const char *output);

/* Settles where the output is: job->place, job->mirror. */
coulis_status cl_job_place(cl_job *job, const char *output);

/* Opens job->place as job->output, with what of it is in S3; there it is said that the job is at work, unless it is
 * complete or grows. */
coulis_status cl_job_open_output(cl_job *job, const cl_output_wish *wish);

/* Makes the vectors that are missing in job->output and counts the rows by status. */
coulis_status cl_job_make_features(cl_job *job);

/* Opens the table of vectors, which must have so many rows, and counts them by status. */
coulis_status cl_job_open_features(cl_job *job, int64_t rows);

/* The PCA says to which vectors it was fitted, if the table says so: other programs may have no JSON object there. */
coulis_status cl_job_give_recipe(cl_job *job, const char *table);

/* Fits the PCA, or takes the given one, or the one that an earlier run of the same recipe saved. */
coulis_status cl_job_make_pca(cl_job *job);

/* The scores. `measured`: the PCA is not of these rows, so what share of their variance the scores hold is found
 * out. */
coulis_status cl_job_make_reduced(cl_job *job, const char *recipe, const char *pca_sha256, bool measured);

/* Completes the summary, writes it to run.json when there is a folder of output, and hands it to the caller. */
coulis_status cl_job_finish(cl_job *job, const char *output, const char *recipe);

/* Hands the summary of a job that an earlier run completed to the caller. */
coulis_status cl_job_take_finished(cl_job *job);
