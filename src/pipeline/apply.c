/* coulis apply: new images through the network, preprocessing and components of an earlier job. */
#include "base/sized.h"
#include "pca/pca.h"
#include "pipeline/fetched.h"
#include "pipeline/recipe_read.h"

coulis_status coulis_job_apply(const char *const *paths, int64_t path_count, const char *pca, const char *output,
                               const coulis_job_options *options, coulis_job_result *result, char **json,
                               coulis_error *error) {
    if (!pca) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no PCA given");
    cl_job_options own;
    coulis_status status = cl_job_options_read(options, &own, error);
    if (status) return status;
    char *model = NULL;
    coulis_pca *loaded = NULL;
    cl_stand_in components;
    status = cl_fetch_pca(pca, &components, error);
    const char *file = components.path;
    if (!status) status = coulis_pca_load(file, &loaded, error);
    if (!status && !coulis_pca_recipe(loaded))
        status = cl_fail(error, COULIS_BAD_DATA,
                         "%s: does not say which network its vectors come from, as it was made by a version before 0.2 "
                         "(fit it again, or use featurize and transform)",
                         file);
    if (!status) status = cl_recipe_read(coulis_pca_recipe(loaded), file, &own.featurizer, &model, error);
    if (!status) {
        own.job.model = model;
        own.job.pca = file;
        status = coulis_job_run(paths, path_count, output, &own.job, result, json, error);
    }
    coulis_pca_free(loaded);
    cl_free(model);
    return cl_stand_in_end(&components, status, error);
}
