/* coulis models list, show and path: which networks are here, and what each is. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "system.h"

static bool ends_in(const char *text, const char *ending) {
    size_t length = strlen(text), end = strlen(ending);
    return length >= end && strcmp(text + length - end, ending) == 0;
}

/* Opens the model at `path`, with random weights when there are no others, and describes it. */
static bool open_model(const char *path, coulis_model **model, coulis_model_info *info, coulis_error *error) {
    coulis_model_options options;
    coulis_model_options_init(&options, sizeof options);
    options.random_weights = ends_in(path, ".json");
    coulis_model_info_init(info, sizeof *info);
    return coulis_model_open(path, &options, model, error) == COULIS_OK &&
           coulis_model_describe(*model, info, error) == COULIS_OK;
}

/* A model that was just read has a size, unless the machine cannot look; `size` is 0 then. */
static bool megabytes(const char *path, double *size, coulis_error *error) {
    const double bytes = cli_file_bytes(path);
    *size = bytes > 0 ? bytes / 1e6 : 0;
    if (bytes >= 0) return true;
    error->status = COULIS_IO;
    snprintf(error->message, sizeof error->message, "cannot look at '%.400s': %s", path, strerror(errno));
    return false;
}

/* Images a second on all cores, over half a second; 0 when it cannot be measured. */
static double speed(const coulis_model *model) {
    coulis_error error;
    double images, seconds;
    coulis_featurizer_options defaults;
    coulis_featurizer_options_init(&defaults, sizeof defaults);
    if (cli_measure(model, &defaults, 0.5, &images, &seconds, &error) != COULIS_OK) return 0;
    return images / seconds;
}

/* The features a network has, and the dimensions of each: its default, then the others in brackets. */
static const char *features_text(const coulis_model *model, const coulis_model_info *info, char text[256]) {
    char others[200] = "";
    for (int32_t kind = 0; kind < COULIS_FEATURES_DEFAULT; kind++) {
        const long long length = (long long)coulis_model_features_length(model, kind);
        if (length == 0 || kind == info->default_features) continue;
        const size_t end = strlen(others);
        snprintf(others + end, sizeof others - end, "%s%s %lld", end ? ", " : "", coulis_option_word("features", kind),
                 length);
    }
    snprintf(text, 256, "%s %lld%s%s%s", coulis_option_word("features", info->default_features),
             (long long)coulis_model_features_length(model, info->default_features), *others ? " (" : "", others,
             *others ? ")" : "");
    return text;
}

static bool add_features(cJSON *object, const coulis_model *model) {
    bool good = true;
    for (int32_t kind = 0; good && kind < COULIS_FEATURES_DEFAULT; kind++) {
        const int64_t length = coulis_model_features_length(model, kind);
        if (length > 0 || kind <= COULIS_FEATURES_LOGITS)
            good = cJSON_AddNumberToObject(object, coulis_option_word("features", kind), (double)length) != NULL;
    }
    return good;
}

/* A model as JSON; NULL when memory is short. */
static cJSON *model_json(const char *name, const char *path, double size, const coulis_model *model,
                         const coulis_model_info *info) {
    cJSON *object = cJSON_CreateObject();
    const bool good = object && cJSON_AddStringToObject(object, "name", name) &&
                      cJSON_AddStringToObject(object, "path", path) &&
                      cJSON_AddBoolToObject(object, "weights", !ends_in(path, ".json")) &&
                      cJSON_AddNumberToObject(object, "megabytes", size) &&
                      cJSON_AddNumberToObject(object, "input_width", info->input_width) &&
                      cJSON_AddNumberToObject(object, "input_height", info->input_height) &&
                      cJSON_AddStringToObject(object, "default_features",
                                              coulis_option_word("features", info->default_features)) &&
                      add_features(object, model) &&
                      cJSON_AddNumberToObject(object, "parameters", (double)info->parameters) &&
                      cJSON_AddNumberToObject(object, "multiply_adds", (double)info->multiply_adds) &&
                      cJSON_AddStringToObject(object, "source", info->source) &&
                      cJSON_AddStringToObject(object, "licence", info->licence) &&
                      cJSON_AddStringToObject(object, "sha256", info->sha256);
    if (good) return object;
    cJSON_Delete(object);
    return NULL;
}

typedef struct listing {
    cJSON *array; /* NULL: print lines */
    bool speed;
    coulis_error error; /* why the list is not whole */
} listing;

static bool add_to_array(listing *list, const char *name, const char *path, double size, const coulis_model *model,
                         const coulis_model_info *info, coulis_error *error) {
    cJSON *object = model_json(name, path, size, model, info);
    if (object && (!list->speed || cJSON_AddNumberToObject(object, "images_per_second", speed(model))) &&
        cJSON_AddItemToArray(list->array, object))
        return true;
    cJSON_Delete(object);
    cli_fail_memory(error);
    return false;
}

static void print_line(const listing *list, const char *name, const char *path, double size, const coulis_model *model,
                       const coulis_model_info *info) {
    char features[256];
    printf("%-22s %8.1f MB  %4dx%-4d  ", name, size, info->input_width, info->input_height);
    if (list->speed) printf("%8.1f  ", speed(model));
    printf("%-40s  %s%s\n", features_text(model, info, features), info->licence,
           ends_in(path, ".json") ? " (graph only, no weights)" : "");
}

/* A file that is not a sound model is told of, and the list goes on; what the machine fails to do ends in a failure. */
static void list_one(void *context, const char *name, const char *path) {
    listing *list = context;
    coulis_error error;
    coulis_model *model = NULL;
    coulis_model_info info = {0};
    double size = 0;
    bool good = open_model(path, &model, &info, &error) && megabytes(path, &size, &error);
    if (good && list->array) good = add_to_array(list, name, path, size, model, &info, &error);
    else if (good) print_line(list, name, path, size, model, &info);
    coulis_model_close(model);
    if (good) return;
    const bool of_the_machine = error.status == COULIS_NO_MEMORY || error.status == COULIS_IO;
    if (!of_the_machine) fprintf(stderr, "coulis: %s\n", error.message);
    else if (list->error.status == COULIS_OK) list->error = error;
}

int cli_models_list(const cli_options *options) {
    coulis_error error;
    listing list = {.array = options->json ? cJSON_CreateArray() : NULL, .speed = options->speed != 0};
    if (!options->json)
        printf("%-22s %11s  %9s  %s%-40s  %s\n", "name", "size", "input", list.speed ? "images/s  " : "",
               "features: dimensions", "licence");
    if (options->json && !list.array) return cli_fail(cli_fail_memory(&error), &error);
    coulis_status status = coulis_model_list(list_one, &list, &error);
    if (!status && list.error.status != COULIS_OK) {
        error = list.error;
        status = COULIS_IO;
    }
    if (!status && list.array) status = cli_print_json(list.array, &error);
    else cJSON_Delete(list.array);
    return status ? cli_fail(status, &error) : EXIT_DONE;
}

/* The path of a model of which only the graph is here. */
typedef struct graph_search {
    const char *name;
    char *path;
    size_t capacity;
} graph_search;

static void find_graph(void *context, const char *name, const char *path) {
    const graph_search *search = context;
    if (strcmp(name, search->name) == 0) snprintf(search->path, search->capacity, "%s", path);
}

int cli_models_show(const cli_options *options) {
    const char *name = options->paths[0];
    coulis_error error;
    coulis_model *model = NULL;
    coulis_model_info info = {0};
    char path[4096] = "";
    coulis_status status = coulis_model_find(name, path, sizeof path, &error);
    if (status == COULIS_MISSING) {
        graph_search search = {.name = name, .path = path, .capacity = sizeof path};
        coulis_error ignored;
        coulis_model_list(find_graph, &search, &ignored);
        if (*path) status = COULIS_OK;
    }
    double size = 0;
    if (status || !open_model(path, &model, &info, &error) || !megabytes(path, &size, &error)) {
        coulis_model_close(model);
        return cli_fail(COULIS_MISSING, &error);
    }
    if (options->json) {
        status = cli_print_json(model_json(info.name, path, size, model, &info), &error);
    } else {
        char features[256];
        printf("name           %s\nfile           %s (%.1f MB)\nsource         %s\nlicence        %s\n"
               "SHA-256        %s\ninput          %d x %d\nfeatures       %s\nparameters     %lld\n"
               "multiply-adds  %lld per image\n",
               info.name, path, size, info.source, info.licence, info.sha256, info.input_width, info.input_height,
               features_text(model, &info, features), (long long)info.parameters, (long long)info.multiply_adds);
    }
    coulis_model_close(model);
    return status ? cli_fail(status, &error) : EXIT_DONE;
}

int cli_models_path(const cli_options *options) {
    char path[4096];
    coulis_error error;
    coulis_status status = coulis_model_find(options->paths[0], path, sizeof path, &error);
    if (status) return cli_fail(status, &error);
    puts(path);
    return EXIT_DONE;
}
