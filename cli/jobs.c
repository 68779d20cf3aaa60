/* The verbs that write: run, featurize, fit, transform. */
#include <stdio.h>

#include "cli.h"

/* One job from the beginning of its progress to the report. */
typedef struct job_call {
    const cli_options *options;
    coulis_job_options job;
    cli_progress progress;
    coulis_error error;
    coulis_job_result result;
    char *json;
} job_call;

static void begin(job_call *call, const cli_options *options) {
    *call = (job_call){.options = options, .job = options->job};
    coulis_job_result_init(&call->result, sizeof call->result);
    cli_progress_begin(&call->progress, options, &call->job);
}

static int finish(job_call *call, coulis_status status, bool of_images, bool reduced) {
    cli_progress_end(&call->progress);
    if (status != COULIS_OK) return cli_fail(status, &call->error);
    int code = cli_report(call->options, of_images, reduced, &call->result, call->json);
    coulis_string_free(call->json);
    return code;
}

static int over_images(const cli_options *options,
                         coulis_status (*job)(const char *const *, int64_t, const char *, const coulis_job_options *,
                                              coulis_job_result *, char **, coulis_error *)) {
    job_call call;
    begin(&call, options);
    return finish(&call, job(options->paths, options->path_count, options->output, &call.job, &call.result,
                             &call.json, &call.error), true, job == coulis_job_run);
}

int cli_run(const cli_options *options) { return over_images(options, coulis_job_run); }
int cli_featurize(const cli_options *options) { return over_images(options, coulis_job_featurize); }

int cli_fit(const cli_options *options) {
    job_call call;
    begin(&call, options);
    return finish(&call, coulis_job_fit(options->paths[0], options->output, &call.job, &call.result, &call.json,
                                        &call.error), false, false);
}

int cli_transform(const cli_options *options) {
    job_call call;
    begin(&call, options);
    return finish(&call, coulis_job_transform(options->paths[0], options->pca, options->output, &call.job,
                                              &call.result, &call.json, &call.error), false, false);
}

int cli_verify(const cli_options *options) {
    coulis_error error;
    char *json = NULL;
    coulis_status status = coulis_job_verify(options->paths[0], &json, &error);
    if (status != COULIS_OK) return cli_fail(status, &error);
    if (options->json) fputs(json, stdout);
    else if (!options->quiet)
        fprintf(stderr, "%s: every digest, row and recipe is as it was written\n", options->paths[0]);
    coulis_string_free(json);
    return EXIT_DONE;
}
