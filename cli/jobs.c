/* The verbs that write: run, featurize, fit, transform. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

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
    if (status) return cli_fail(status, &call->error);
    int code = cli_report(call->options, of_images, reduced, &call->result, call->json);
    coulis_string_free(call->json);
    return code;
}

typedef coulis_status (*image_job)(const char *const *, int64_t, const char *, const coulis_job_options *,
                                   coulis_job_result *, char **, coulis_error *);

/* Compares with the earlier result, if there is one: without it no model is needed either. */
static int dry_run(job_call *call, image_job job) {
    const cli_options *options = call->options;
    char run[4096];
    coulis_plan plan;
    snprintf(run, sizeof run, "%s/run.json", options->output);
    const bool elsewhere = strncmp(options->output, "s3", 2) == 0 && strstr(options->output, "://");
    const bool looks = !options->job.overwrite && !elsewhere;
    FILE *there = looks ? fopen(run, "re") : NULL;
    if (looks && !there && errno != ENOENT && errno != ENOTDIR) {
        fprintf(stderr, "coulis: cannot open '%s': %s\n", run, strerror(errno));
        return EXIT_FAILED;
    }
    if (!there && !options->job.keep_pca && !(elsewhere && !options->job.overwrite))
        return cli_dry_run(options, NULL, NULL);
    if (there) fclose(there);
    call->job.dry_run = 1;
    call->progress.plan = &plan;
    coulis_status status = job(options->paths, options->path_count, options->output, &call->job, NULL, &call->json,
                               &call->error);
    cli_progress_end(&call->progress);
    int code = status ? cli_fail(status, &call->error) : cli_dry_run(options, &plan, call->json);
    coulis_string_free(call->json);
    return code;
}

static int over_images(const cli_options *options, image_job job) {
    job_call call;
    begin(&call, options);
    if (options->dry_run) return dry_run(&call, job);
    return finish(&call,
                  job(options->paths, options->path_count, options->output, &call.job, &call.result, &call.json,
                      &call.error),
                  true, job == coulis_job_run && options->job.shards == 0);
}

int cli_merge(const cli_options *options) {
    job_call call;
    begin(&call, options);
    const coulis_status status = coulis_job_merge(options->paths, options->path_count, options->output, &call.job,
                                                  &call.result, &call.json, &call.error);
    return finish(&call, status, true, false);
}

int cli_run(const cli_options *options) { return over_images(options, coulis_job_run); }
int cli_featurize(const cli_options *options) { return over_images(options, coulis_job_featurize); }

int cli_fit(const cli_options *options) {
    job_call call;
    begin(&call, options);
    return finish(&call,
                  coulis_job_fit(options->paths[0], options->output, &call.job, &call.result, &call.json, &call.error),
                  false, false);
}

/* How far below the share of the fit that of other images may be before it is worth a warning: the components then miss
 * much of what tells these images apart. */
#define SHARE_MISSING 0.05

/* Says what the components keep of these images beside what they kept of those they were fitted to. */
static void compare_shares(const char *json) {
    cJSON *root = cJSON_Parse(json);
    if (!root) fputs("coulis: warning: not enough memory to compare the share of the variance that is kept\n", stderr);
    const cJSON *pca = cJSON_GetObjectItemCaseSensitive(root, "pca");
    const cJSON *share = cJSON_GetObjectItemCaseSensitive(pca, "explained_variance_share");
    const cJSON *fitted = cJSON_GetObjectItemCaseSensitive(pca, "fitted_variance_share");
    if (cJSON_IsNumber(share) && cJSON_IsNumber(fitted) && share->valuedouble < fitted->valuedouble - SHARE_MISSING)
        fprintf(stderr,
                "coulis: warning: the components keep %.1f %% of the variance of these images, but %.1f %% of "
                "those they were fitted to; these images differ from them (fit a PCA to both)\n",
                100 * share->valuedouble, 100 * fitted->valuedouble);
    cJSON_Delete(root);
}

int cli_apply(const cli_options *options) {
    job_call call;
    begin(&call, options);
    const coulis_status status = coulis_job_apply(options->paths, options->path_count, options->pca, options->output,
                                                  &call.job, &call.result, &call.json, &call.error);
    if (!status) compare_shares(call.json);
    return finish(&call, status, true, true);
}

int cli_transform(const cli_options *options) {
    job_call call;
    begin(&call, options);
    return finish(&call,
                  coulis_job_transform(options->paths[0], options->pca, options->output, &call.job, &call.result,
                                       &call.json, &call.error),
                  false, false);
}

int cli_verify(const cli_options *options) {
    coulis_error error;
    char *json = NULL;
    coulis_status status = coulis_job_verify(options->paths[0], &json, &error);
    if (status) return cli_fail(status, &error);
    if (options->json) fputs(json, stdout);
    else if (!options->quiet)
        fprintf(stderr, "%s: every digest, row and recipe is as it was written\n", options->paths[0]);
    coulis_string_free(json);
    return EXIT_DONE;
}
