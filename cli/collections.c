/* The verbs on a result: search, dedup, cluster, export, view. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "cli.h"

static double number_of(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static const char *text_of(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

/* JSON to standard output, or lines by `print`; releases the text. */
static int report(const cli_options *options, coulis_status status, const coulis_error *error, char *json,
                  void (*print)(const cJSON *)) {
    int code = EXIT_DONE;
    if (status) return cli_fail(status, error);
    if (options->json) {
        puts(json);
    } else if (!options->quiet) {
        cJSON *root = cJSON_Parse(json);
        if (root) print(root);
        else fputs("coulis: not enough memory to print the result\n", stderr);
        if (!root) code = EXIT_FAILED;
        cJSON_Delete(root);
    }
    coulis_string_free(json);
    return code;
}

/* similarity, label, path: the longest last. Standard output, as this is the result. */
static void print_matches(const cJSON *matches) {
    const cJSON *match;
    cJSON_ArrayForEach(match, matches)
        printf("%.4f  %-20s  %s\n", number_of(match, "similarity"), text_of(match, "label"), text_of(match, "path"));
}

static const char *form_of(const cli_options *options) {
    return options->json ? "json" : options->quiet ? "quiet" : "table";
}

static const char *flag(int32_t given) { return given ? "1" : "0"; }

/* The Python package cuts the words into tokens, and prints what is nearest to them. */
static int search_words(const cli_options *options) {
    char count[24], threads[24];
    snprintf(count, sizeof count, "%lld", (long long)options->collection.k);
    snprintf(threads, sizeof threads, "%d", (int)options->collection.threads);
    /* "--": neither a folder nor words are taken for an option of Python's. */
    const char *words[] = {"--",
                           options->paths[0],
                           options->text,
                           count,
                           threads,
                           form_of(options),
                           options->output ? options->output : "",
                           flag(options->collection.no_sign_request),
                           flag(options->collection.requester_pays)};
    return cli_python("coulis.wordsearch", (int)(sizeof words / sizeof *words), (char **)words, 0);
}

/* A failure that ends nothing is told even where no summary is wanted. */
static void warn(void *context, const char *sentence) {
    (void)context;
    fprintf(stderr, "coulis: %s\n", sentence);
}

/* A page of what was found, under a title that names the queries. */
static coulis_status write_sheet(const cli_options *options, const char *json, coulis_error *error) {
    char title[512];
    size_t length = (size_t)snprintf(title, sizeof title, "nearest to %s", options->paths[1]);
    if (length < sizeof title && options->path_count > 2)
        snprintf(title + length, sizeof title - length, " and %d more", options->path_count - 2);
    coulis_collection_options collection = options->collection;
    collection.warn = warn;
    return coulis_contact_sheet(json, title, options->output, &collection, error);
}

int cli_search(const cli_options *options) {
    if (options->text && options->path_count > 1) return cli_usage("search: images or --text, not both");
    if (options->text) return search_words(options);
    if (options->path_count < 2) return cli_usage("search: needs a DIR and a QUERY, or --text WORDS");
    coulis_error error;
    char *json = NULL;
    coulis_status status = coulis_search(options->paths[0], options->paths + 1, options->path_count - 1,
                                         &options->collection, &json, &error);
    if (!status && options->output) {
        status = write_sheet(options, json, &error);
        if (status) coulis_string_free(json);
    }
    return report(options, status, &error, json, print_matches);
}

static void print_groups(const cJSON *summary) {
    const double groups = number_of(summary, "groups");
    fprintf(stderr, "%.0f of %.0f images stand in %.0f groups; %.0f are duplicates of a better one\n",
            number_of(summary, "images_in_groups"), number_of(summary, "images"), groups,
            number_of(summary, "duplicates"));
    if (number_of(summary, "groups_across_labels") > 0)
        fprintf(stderr, "%.0f groups have several labels:\n", number_of(summary, "groups_across_labels"));
    const cJSON *entry;
    int lines = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(summary, "across_labels")) {
        const cJSON *labels = cJSON_GetObjectItemCaseSensitive(entry, "labels");
        if (lines++ == 10) break;
        fprintf(stderr, "  %s and %s: %.0f\n", cJSON_GetStringValue(cJSON_GetArrayItem(labels, 0)),
                cJSON_GetStringValue(cJSON_GetArrayItem(labels, 1)), number_of(entry, "groups"));
    }
    fprintf(stderr, "%.2f s, result in %s\n", number_of(summary, "seconds"), text_of(summary, "output"));
}

int cli_dedup(const cli_options *options) {
    coulis_error error;
    char *json = NULL;
    coulis_status status = coulis_dedup(options->paths[0], options->against, options->output, &options->collection,
                                        &json, &error);
    return report(options, status, &error, json, print_groups);
}

static void print_clusters(const cJSON *summary) {
    fprintf(stderr, "%.0f images in %.0f clusters, %.0f iterations%s\n%.2f s, result in %s\n",
            number_of(summary, "images"), number_of(summary, "clusters"), number_of(summary, "iterations"),
            cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(summary, "converged")) ? "" : " (not converged)",
            number_of(summary, "seconds"), text_of(summary, "output"));
}

int cli_cluster(const cli_options *options) {
    coulis_error error;
    char *json = NULL;
    coulis_status status = coulis_cluster(options->paths[0], options->output, &options->collection, &json, &error);
    return report(options, status, &error, json, print_clusters);
}

static void print_export(const cJSON *summary) {
    fprintf(stderr, "%.0f vectors of %.0f dimensions in %s", number_of(summary, "rows"),
            number_of(summary, "dimensions"), text_of(summary, "output"));
    if (number_of(summary, "skipped") > 0)
        fprintf(stderr, "; %.0f rows without a vector skipped", number_of(summary, "skipped"));
    fputc('\n', stderr);
}

int cli_export(const cli_options *options) {
    coulis_error error;
    char *json = NULL;
    coulis_status status = coulis_export(options->paths[0], options->output, &options->collection, &json, &error);
    return report(options, status, &error, json, print_export);
}

static void print_view(const cJSON *summary) {
    const cJSON *wanted = cJSON_GetObjectItemCaseSensitive(summary, "thumbnails");
    fprintf(stderr, "%.0f images, %.1f MB, %.2f s: open %s in a browser\n", number_of(summary, "images"),
            number_of(summary, "bytes") / 1e6, number_of(summary, "seconds"), text_of(summary, "output"));
    if (cJSON_IsTrue(wanted) && number_of(summary, "thumbnail_pixels") == 0)
        fputs("no thumbnails: they do not fit; --max-size allows a larger report\n", stderr);
}

/* The Python package places the images, by other packages, and calls the library. */
static int view_by_python(const cli_options *options) {
    char threshold[32], bytes[24], threads[24];
    snprintf(threshold, sizeof threshold, "%.17g", options->collection.threshold);
    snprintf(bytes, sizeof bytes, "%lld", (long long)(options->megabytes * 1e6));
    snprintf(threads, sizeof threads, "%d", (int)options->collection.threads);
    const char *words[] = {"--",
                           options->paths[0],
                           options->output,
                           coulis_option_word("map", options->map),
                           threshold,
                           bytes,
                           threads,
                           form_of(options),
                           flag(options->collection.no_sign_request),
                           flag(options->collection.requester_pays),
                           flag(options->collection.no_thumbnails)};
    return cli_python("coulis.mapview", (int)(sizeof words / sizeof *words), (char **)words, 0);
}

int cli_view(const cli_options *options) {
    if (options->map != COULIS_MAP_PCA) return view_by_python(options);
    coulis_error error;
    char *json = NULL;
    coulis_collection_options collection = options->collection;
    collection.max_bytes = (int64_t)(options->megabytes * 1e6);
    collection.warn = warn;
    coulis_status status = coulis_view(options->paths[0], options->output, &collection, &json, &error);
    return report(options, status, &error, json, print_view);
}
