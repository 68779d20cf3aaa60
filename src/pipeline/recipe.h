/* What decides the bytes of a result, as JSON: stored with it, and compared before it is continued. */
#ifndef CL_PIPELINE_RECIPE_H
#define CL_PIPELINE_RECIPE_H

#include "coulis.h"
#include "pipeline/list.h"

/* The words of the command line for the values of the enums. */
const char *cl_features_name(int32_t features);
const char *cl_resize_name(int32_t resize);
const char *cl_orient_name(int32_t orient);
const char *cl_alpha_name(int32_t alpha);

/* The recipe of the vectors; NULL when memory is short; released with cl_free. */
char *cl_recipe_features(const coulis_job_options *options, const coulis_model_info *model, int64_t length,
                         const cl_list *list);

/* The same with the PCA: `features` (a recipe, JSON; NULL for none) and the number or share of components. */
char *cl_recipe_reduced(const char *features, double components, const char *pca_sha256);

#endif
