#include "pipeline/options.h"

#include "base/sized.h"
#include "base/words.h"
#include "image/image.h"

#define ROWS_PER_FILE_MAX 100000000
#define THREADS_MAX 1024
#define SHARDS_MAX 100000

void coulis_featurizer_options_init(coulis_featurizer_options *options, size_t size) {
    const coulis_featurizer_options defaults = {.size = sizeof defaults, .features = COULIS_FEATURES_DEFAULT};
    cl_sized_init(options, size, &defaults, sizeof defaults);
}

void coulis_job_options_init(coulis_job_options *options, size_t size) {
    const coulis_job_options defaults = {
        .size = sizeof defaults, .model = "efficientnet-lite0", .components = 0.99, .rows_per_file = 10000};
    cl_sized_init(options, size, &defaults, sizeof defaults);
}

static coulis_status check_threads(int32_t threads, coulis_error *error) {
    if (threads >= 0 && threads <= THREADS_MAX) return COULIS_OK;
    return cl_fail(error, COULIS_INVALID_ARGUMENT, "threads must be 0 (all cores) to %d", THREADS_MAX);
}

coulis_status cl_featurizer_options_read(const coulis_featurizer_options *given, cl_featurizer_options *own,
                                         coulis_error *error) {
    coulis_featurizer_options *featurizer = &own->featurizer;
    coulis_featurizer_options_init(featurizer, sizeof *featurizer);
    coulis_status status = cl_sized_read(given, "coulis_featurizer_options", featurizer, sizeof *featurizer, error);
    if (!status) status = cl_check_option("features", featurizer->features, error);
    if (!status) status = cl_check_option("precision", featurizer->precision, error);
    if (!status) status = check_threads(featurizer->threads, error);
    if (!status) status = cl_image_options_read(featurizer->image, &own->image, error);
    featurizer->image = &own->image;
    return status;
}

coulis_status cl_job_options_read(const coulis_job_options *given, cl_job_options *own, coulis_error *error) {
    coulis_job_options *job = &own->job;
    coulis_job_options_init(job, sizeof *job);
    coulis_status status = cl_sized_read(given, "coulis_job_options", job, sizeof *job, error);
    if (!status) status = cl_featurizer_options_read(job->featurizer, &own->featurizer, error);
    job->featurizer = &own->featurizer.featurizer;
    if (!status) status = check_threads(job->threads, error);
    if (status) return status;
    if (!job->model) return cl_fail(error, COULIS_INVALID_ARGUMENT, "model is NULL: there is no network to run");
    if (job->rows_per_file < 1 || job->rows_per_file > ROWS_PER_FILE_MAX)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "rows per file must be 1 to %d", ROWS_PER_FILE_MAX);
    if (job->shards < 0 || job->shards > SHARDS_MAX || job->shard < (job->shards > 0) || job->shard > job->shards)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "a shard must be from 1 to the number of shards, %d at most",
                       SHARDS_MAX);
    if (job->shards > 0 && (job->pca || job->keep_pca))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "a shard makes vectors alone, so it takes no PCA");
    if (!(job->components >= 0) || job->components > 1e9 ||
        (job->components >= 1 && job->components != (double)(int64_t)job->components))
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "components must be a whole number from 1, or a share of the variance between 0 and 1");
    if (job->keep_pca && job->overwrite)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "keep_pca and overwrite exclude one another: one keeps what the other removes");
    return COULIS_OK;
}
