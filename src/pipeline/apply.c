/* coulis apply: new images through the network, preprocessing and components of an earlier job. */
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/sized.h"
#include "base/text.h"
#include "pca/pca.h"
#include "pipeline/recipe_read.h"

/* The PCA's file: `pca` itself, or the one in that folder. NULL when memory is short; released with cl_free. */
static char *file_of(const char *pca) {
    struct stat about;
    const bool folder = stat(pca, &about) == 0 && S_ISDIR(about.st_mode);
    return folder ? cl_format("%s/pca.safetensors", pca) : cl_strdup(pca);
}

coulis_status coulis_job_apply(const char *const *paths, int64_t path_count, const char *pca, const char *output,
                               const coulis_job_options *options, coulis_job_result *result, char **json,
                               coulis_error *error) {
    if (!pca) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no PCA given");
    cl_job_options own;
    coulis_status status = cl_job_options_read(options, &own, error);
    if (status) return status;
    char *file = file_of(pca), *model = NULL;
    coulis_pca *loaded = NULL;
    if (!file) status = cl_fail_memory(error, "a path", strlen(pca));
    if (!status) status = coulis_pca_load(file, &loaded, error);
    if (!status && !coulis_pca_recipe(loaded))
        status = cl_fail(error, COULIS_BAD_DATA,
                         "%s: does not say which network its vectors come from, as it was made by a version before 0.2 "
                         "(fit it again, or use featurize and transform)", file);
    if (!status) status = cl_recipe_read(coulis_pca_recipe(loaded), file, &own.featurizer, &model, error);
    if (!status) {
        own.job.model = model;
        own.job.pca = file;
        status = coulis_job_run(paths, path_count, output, &own.job, result, json, error);
    }
    coulis_pca_free(loaded);
    cl_free(model);
    cl_free(file);
    return status;
}
