/* What a job did, for a person or for a program. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "cli.h"

coulis_status cli_fail_memory(coulis_error *error) {
    error->status = COULIS_NO_MEMORY;
    snprintf(error->message, sizeof error->message, "out of memory");
    return COULIS_NO_MEMORY;
}

coulis_status cli_print_json(cJSON *json, coulis_error *error) {
    char *text = json ? cJSON_Print(json) : NULL;
    if (text) puts(text);
    cJSON_free(text);
    cJSON_Delete(json);
    return text ? COULIS_OK : cli_fail_memory(error);
}

static void print_counts(const coulis_job_result *r) {
    fprintf(stderr, "%lld image%s, %lld with a vector", (long long)r->images, r->images == 1 ? "" : "s",
            (long long)r->counts[COULIS_OK]);
    for (int32_t status = COULIS_OK + 1; status < COULIS_RESULT_STATUSES; status++)
        if (r->counts[status] > 0)
            fprintf(stderr, ", %lld %s", (long long)r->counts[status], coulis_status_name(status));
    if (r->not_images > 0) fprintf(stderr, " (%lld not images by name)", (long long)r->not_images);
    if (r->resumed > 0) fprintf(stderr, " (%lld from an earlier run)", (long long)r->resumed);
    fputc('\n', stderr);
}

/* What may give a vector to images that have none; the column `error` says of each what is wrong. */
static void print_ways_out(const cli_options *options, const coulis_job_result *r) {
    if (r->counts[COULIS_TOO_LARGE] > 0) fputs("too_large: --max-pixels and --max-bytes raise the limits\n", stderr);
    if (r->counts[COULIS_UNREADABLE] > 0 && options->image.truncated == COULIS_TRUNCATED_REFUSE)
        fputs("unreadable: of images cut short, --truncated keep takes what is there\n", stderr);
}

static void print_left_out(const coulis_job_result *r) {
    const int64_t left_out = r->left_out_system + r->left_out_hidden + r->left_out_excluded;
    if (left_out > 0)
        fprintf(stderr, "left out: %lld of the system, %lld hidden, %lld by --include or --exclude\n",
                (long long)r->left_out_system, (long long)r->left_out_hidden, (long long)r->left_out_excluded);
    if (r->folders_unreadable > 0)
        fprintf(stderr, "warning: %lld folder%s could not be read\n", (long long)r->folders_unreadable,
                r->folders_unreadable == 1 ? "" : "s");
}

static void print_result(const cli_options *options, const coulis_job_result *r, bool of_images, bool reduced) {
    print_counts(r);
    if (of_images && !options->pca) print_ways_out(options, r); /* apply does as the earlier job did */
    print_left_out(r);
    if (r->components > 0)
        fprintf(stderr, "%lld dimensions reduced to %lld, explained variance %.2f %%\n", (long long)r->length,
                (long long)r->components, 100 * r->explained_variance);
    else if (reduced) fprintf(stderr, "no PCA: it needs at least two images with a vector\n");
    fprintf(stderr, "%.2f s", r->total_seconds);
    if (r->images_per_second > 0) fprintf(stderr, ", %.1f images/s", r->images_per_second);
    fprintf(stderr, ", result in %s\n", options->output);
}

int cli_report(const cli_options *options, bool of_images, bool reduced, const coulis_job_result *result,
               const char *json) {
    if (options->json) fputs(json, stdout);
    if (!options->quiet && !options->json) print_result(options, result, of_images, reduced);
    int64_t failed = result->images - result->counts[COULIS_OK];
    /* A text beside the images is not a failure, unless asked for. */
    if (!of_images || failed == 0 || (!options->strict && failed == result->not_images)) return EXIT_DONE;
    return options->strict ? EXIT_FAILED : EXIT_SOME_UNREADABLE;
}
