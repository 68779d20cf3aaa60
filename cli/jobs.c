/* The verbs that write: run, featurize, fit, transform. */
#include "cli.h"

/* Ends the progress of a job and reports. */
static int finish(const cli_options *options, bool of_pictures, cli_progress *progress, coulis_status status,
                  char *summary, const coulis_error *error) {
    cli_progress_end(progress);
    if (status != COULIS_OK) return cli_fail(status, error);
    return cli_report(options, of_pictures, summary);
}

static int over_pictures(const cli_options *options,
                         coulis_status (*job)(const char *const *, int64_t, const char *, const coulis_job_options *,
                                              char **, coulis_error *)) {
    if (options->path_count == 0) return cli_usage("no pictures given: name a file, a folder or @list.txt");
    if (!options->output) return cli_usage("no folder for the result given: add -o DIR");
    coulis_job_options job_options = options->job;
    cli_progress progress;
    coulis_error error;
    char *summary = NULL;
    cli_progress_begin(&progress, options, &job_options);
    coulis_status status = job(options->paths, options->path_count, options->output, &job_options, &summary, &error);
    return finish(options, true, &progress, status, summary, &error);
}

int cli_run(const cli_options *options) { return over_pictures(options, coulis_job_run); }
int cli_featurize(const cli_options *options) { return over_pictures(options, coulis_job_featurize); }

int cli_fit(const cli_options *options) {
    if (options->path_count != 1) return cli_usage("'coulis fit' takes one folder of vectors");
    if (!options->output) return cli_usage("no file for the PCA given: add -o FILE");
    coulis_job_options job_options = options->job;
    cli_progress progress;
    coulis_error error;
    char *summary = NULL;
    cli_progress_begin(&progress, options, &job_options);
    coulis_status status = coulis_job_fit(options->paths[0], options->output, &job_options, &summary, &error);
    return finish(options, false, &progress, status, summary, &error);
}

int cli_transform(const cli_options *options) {
    if (options->path_count != 1) return cli_usage("'coulis transform' takes one folder of vectors");
    if (!options->pca) return cli_usage("no PCA given: add --pca FILE");
    if (!options->output) return cli_usage("no folder for the result given: add -o DIR");
    coulis_job_options job_options = options->job;
    cli_progress progress;
    coulis_error error;
    char *summary = NULL;
    cli_progress_begin(&progress, options, &job_options);
    coulis_status status = coulis_job_transform(options->paths[0], options->pca, options->output, &job_options,
                                                &summary, &error);
    return finish(options, false, &progress, status, summary, &error);
}
