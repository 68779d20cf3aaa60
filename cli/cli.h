/* The command: one function per verb, each of which returns the exit code. */
#pragma once

#include <stdbool.h>

#include "coulis.h"

/* Exit codes of the command. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SOME_UNREADABLE = 3, EXIT_INTERRUPTED = 130 };

/* Everything a command line can say; filled by the rows of table.c. Flags are 0 or 1. */
typedef struct cli_options {
    coulis_job_options job; /* points to the three below */
    coulis_featurizer_options featurizer;
    coulis_image_options image;
    coulis_source_options choose;
    const char **paths; /* what is not an option, in order */
    int path_count;
    coulis_collection_options collection;
    const char **include, **exclude; /* room for as many as there are arguments */
    const char *output, *pca, *against, *text;
    double seconds, megabytes;
    int32_t strict, json, quiet, no_progress, random_weights, speed, man, dry_run, map;
} cli_options;

int cli_run(const cli_options *options);
int cli_featurize(const cli_options *options);
int cli_merge(const cli_options *options);
int cli_list(const cli_options *options);
int cli_fit(const cli_options *options);
int cli_apply(const cli_options *options);
int cli_transform(const cli_options *options);
int cli_verify(const cli_options *options);
int cli_check(const cli_options *options);
int cli_search(const cli_options *options);
int cli_dedup(const cli_options *options);
int cli_cluster(const cli_options *options);
int cli_export(const cli_options *options);
int cli_view(const cli_options *options);
int cli_models_list(const cli_options *options);
int cli_models_show(const cli_options *options);
int cli_models_path(const cli_options *options);
int cli_bench(const cli_options *options);
int cli_version(const cli_options *options);
int cli_help(const cli_options *options);
int cli_completion(const cli_options *options);

/* A verb that the Python package does: takes the place of this process, or says why that is not possible and returns
 * the exit code. argv[first] and on are for `python -m module`. */
int cli_python(const char *module, int argc, char **argv, int first);

/* Runs the network alone for about `limit` seconds. */
coulis_status cli_measure(const coulis_model *model, const coulis_featurizer_options *options, double limit,
                          double *images, double *took, coulis_error *error);

/* Prints "coulis: " and the sentence of `error`, and returns the exit code for `status`. */
int cli_fail(coulis_status status, const coulis_error *error);
/* Prints "coulis: " and a sentence, and returns EXIT_USAGE. */
__attribute__((format(printf, 1, 2))) int cli_usage(const char *format, ...);

/* Says on standard output what the PATHs stand for, by kind and label, and by `plan` (and as JSON; NULL: not known)
 * what of it is new since an earlier result. */
int cli_dry_run(const cli_options *options, const coulis_plan *plan, const char *json);

/* "12 new, 3 changed, 1 gone; 99984 carried over" */
void cli_plan_text(const coulis_plan *plan, char *text, size_t capacity);

/* Progress on stderr, and Ctrl-C: puts both into `job`. */
typedef struct cli_progress {
    bool bar;   /* redraw one line */
    bool drawn; /* a line stands there unfinished */
    bool quiet;
    int32_t stage;
    coulis_plan *plan; /* where a plan goes instead of to stderr; NULL: there */
} cli_progress;
void cli_progress_begin(cli_progress *progress, const cli_options *options, coulis_job_options *job);
void cli_progress_end(cli_progress *progress);

/* "out of memory", with its status, which it returns. */
coulis_status cli_fail_memory(coulis_error *error);

/* Prints JSON on stdout and releases it; fails when memory is short, as it is where `json` is NULL. */
struct cJSON;
coulis_status cli_print_json(struct cJSON *json, coulis_error *error);

/* What a job did as lines for a person on stderr, or as JSON on stdout; returns the exit code, in which images that
 * failed only count for a job that reads images. `reduced`: of which a PCA was to be fitted. */
int cli_report(const cli_options *options, bool of_images, bool reduced, const coulis_job_result *result,
               const char *json);
