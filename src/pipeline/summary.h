/* run.json: what was done, in how much time, with what result. */
#pragma once

#include "pipeline/parts.h"

typedef struct cl_summary {
    const char *output;
    const char *recipe;             /* JSON */
    const coulis_model_info *model; /* NULL where no network ran */
    const coulis_pca *pca;          /* NULL without one */
    coulis_job_result result;       /* counts, resumed, length and seconds; the rest by cl_summary_complete */
    int32_t stages;                 /* bit s set: stage s took part */
    int32_t threads;
    const cl_parts *parts; /* NULL where no table is written */
    bool reduced_only;     /* the vectors are not part of the result */
    const char *root;      /* to which relative paths refer, NULL for none */
    const double *share;   /* of the variance of the rows that the scores hold; NULL: they are those of the fit */
} cl_summary;

/* Computes what follows from the rest: sums, the rate, and what is known of the PCA. */
void cl_summary_complete(cl_summary *summary);

/* The JSON text of a complete summary, with a newline at its end; NULL when memory is short; released with cl_free. */
char *cl_summary_json(const cl_summary *summary);

/* The same text without what it says of the vectors' parts, which have been removed. */
char *cl_summary_without_features(const char *text);

/* Whether a summary is as it was written: it ends with the SHA-256 of the rest. */
bool cl_summary_is_sound(const cJSON *root);

/* The numbers of such a text, as an earlier run left it. COULIS_BAD_DATA when it is none; `path` names it. */
coulis_status cl_summary_read(const char *text, const char *path, coulis_job_result *result, coulis_error *error);
