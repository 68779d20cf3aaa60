/* What decides the bytes of a result, as JSON: stored with it, and compared before it is continued. */
#pragma once

#include <cjson/cJSON.h>

#include "base/base.h"

/* What decides each vector, whatever table it is in; `options` are complete. NULL when memory is short; released with
 * cl_free, as all below. */
char *cl_recipe_vectors(const coulis_featurizer_options *options, const coulis_model_info *model, int64_t length);

/* The recipe of a table of vectors; `options` are complete (pipeline/options.h). NULL when memory is
 * short; released with cl_free. */
char *cl_recipe_features(const coulis_job_options *options, const coulis_model_info *model, int64_t length,
                         const coulis_source *source);

/* The same with the PCA: `features` (a recipe, JSON; NULL for none), the number or share of components, and where they
 * are not of the same job, SHA-256 of the PCA's file and of the table. */
char *cl_recipe_reduced(const char *features, double components, const char *pca_sha256, const char *table_sha256);

/* The same with the PCA of an earlier run of the same command, which is kept; its fit may be asked for again. */
char *cl_recipe_kept(const char *features, double components, const char *pca_sha256);

/* Of the recipe of a job, that of its vectors: without what came after. */
char *cl_recipe_of_table(const cJSON *recipe);

/* Of the recipe of a table, what decides each vector, and limits that are not the defaults. NULL also when it is no
 * JSON object. */
char *cl_recipe_of_vectors(const char *table);

/* COULIS_CONFLICT with the first difference between the vectors of two recipes: the current ones, and those that
 * the PCA `name` (NULL for none) was fitted to. */
coulis_status cl_recipe_compare(const char *vectors, const char *fitted, const char *name, coulis_error *error);
