/* What decides the bytes of a result, as JSON: stored with it, and compared before it is continued. */
#ifndef CL_PIPELINE_RECIPE_H
#define CL_PIPELINE_RECIPE_H

#include "coulis.h"

/* The recipe of the vectors; `options` are complete (pipeline/options.h). NULL when memory is
 * short; released with cl_free. */
char *cl_recipe_features(const coulis_job_options *options, const coulis_model_info *model, int64_t length,
                         const coulis_source *source);

/* The same with the PCA: `features` (a recipe, JSON; NULL for none) and the number or share of components. */
char *cl_recipe_reduced(const char *features, double components, const char *pca_sha256);

#endif
