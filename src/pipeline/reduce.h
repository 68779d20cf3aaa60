/* The stages from parts of vectors to PCA, and to parts of scores. */
#pragma once

#include "base/threads.h"
#include "pipeline/parts.h"
#include "pipeline/spread.h"
#include "table/table.h"

/* Fits a PCA to the vectors of `table`, reporting progress as COULIS_STAGE_FIT. */
coulis_status cl_fit_table(cl_table *table, const coulis_job_options *options, cl_pool *pool, coulis_pca **pca,
                           coulis_error *error);

/* Where scores go. */
typedef struct cl_scores_to {
    const char *folder, *recipe;
    const char *pca_sha256; /* of the PCA's file */
    cl_parts *parts;        /* where finished parts are written down */
    cl_spread *spread;      /* what becomes of the variance of the rows (spread.h); NULL: not wanted */
} cl_scores_to;

/* Writes the scores of every part of `table` that is not in `to->folder` yet (what is there has been reviewed); stops
 * when options->progress says so. */
coulis_status cl_transform_table(cl_table *table, const coulis_pca *pca, const coulis_job_options *options,
                                 cl_pool *pool, const cl_scores_to *to, coulis_error *error);

/* COULIS_BAD_DATA when the vectors of two parts were not made by one recipe. */
coulis_status cl_check_recipes(cl_table *table, coulis_error *error);

/* SHA-256 over the digests of all parts: nothing less tells two tables of other programs from one another. */
coulis_status cl_table_sha256(cl_table *table, char sha256[CL_SHA256_TEXT], coulis_error *error);

/* Adds to result->counts how many rows have each status, and to result->not_images. */
coulis_status cl_count_statuses(cl_table *table, coulis_job_result *result, coulis_error *error);

/* The same for the parts of one kind that are written down, whatever their numbers. *rows gets how many rows they
 * have. */
coulis_status cl_count_parts(const cl_parts *parts, cl_kind kind, coulis_job_result *result, int64_t *rows,
                             coulis_error *error);
