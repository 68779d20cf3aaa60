/* What a job did, for a person or for a program. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static double number(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static void print_counts(const cJSON *counts) {
    double pictures = number(counts, "pictures"), ok = number(counts, "ok");
    fprintf(stderr, "%.0f pictures, %.0f with a vector", pictures, ok);
    for (int32_t status = COULIS_UNREADABLE; status <= COULIS_MISSING; status++) {
        double count = number(counts, coulis_status_name(status));
        if (count > 0) fprintf(stderr, ", %.0f %s", count, coulis_status_name(status));
    }
    if (number(counts, "resumed") > 0) fprintf(stderr, " (%.0f from an earlier run)", number(counts, "resumed"));
    fputc('\n', stderr);
}

static void print_summary(const cJSON *root) {
    print_counts(cJSON_GetObjectItemCaseSensitive(root, "counts"));
    const cJSON *pca = cJSON_GetObjectItemCaseSensitive(root, "pca");
    if (pca)
        fprintf(stderr, "%.0f numbers reduced to %.0f, which hold %.2f %% of the variance\n",
                number(root, "vector_length"), number(pca, "components"),
                100 * number(pca, "explained_variance_share"));
    fprintf(stderr, "%.2f s", number(cJSON_GetObjectItemCaseSensitive(root, "seconds"), "total"));
    if (number(root, "images_per_second") > 0) fprintf(stderr, ", %.1f pictures/s", number(root, "images_per_second"));
    const cJSON *output = cJSON_GetObjectItemCaseSensitive(root, "output");
    fprintf(stderr, ", result in %s\n", cJSON_IsString(output) ? output->valuestring : "?");
}

int cli_report(const cli_options *options, bool of_pictures, char *summary) {
    cJSON *root = cJSON_Parse(summary);
    const cJSON *counts = cJSON_GetObjectItemCaseSensitive(root, "counts");
    bool failed = of_pictures && number(counts, "pictures") > number(counts, "ok");
    if (options->json) fputs(summary, stdout);
    if (!options->quiet && !options->json) print_summary(root);
    cJSON_Delete(root);
    coulis_string_free(summary);
    if (!failed) return EXIT_DONE;
    return options->strict ? EXIT_FAILED : EXIT_SOME_UNREADABLE;
}
