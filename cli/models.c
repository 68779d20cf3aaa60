/* coulis models list, show and path: which networks are here, and what each is. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

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

static double megabytes(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 ? (double)info.st_size / 1e6 : 0;
}

/* Pictures a second on all cores, over half a second; 0 when it cannot be measured. */
static double speed(const coulis_model *model) {
    coulis_error error;
    double pictures, seconds;
    coulis_featurizer_options defaults;
    coulis_featurizer_options_init(&defaults, sizeof defaults);
    if (cli_measure(model, &defaults, 0.5, &pictures, &seconds, &error) != COULIS_OK) return 0;
    return pictures / seconds;
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

static cJSON *model_json(const char *name, const char *path, const coulis_model *model, const coulis_model_info *info) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", name);
    cJSON_AddStringToObject(object, "path", path);
    cJSON_AddBoolToObject(object, "weights", !ends_in(path, ".json"));
    cJSON_AddNumberToObject(object, "megabytes", megabytes(path));
    cJSON_AddNumberToObject(object, "input_width", info->input_width);
    cJSON_AddNumberToObject(object, "input_height", info->input_height);
    cJSON_AddStringToObject(object, "default_features", coulis_option_word("features", info->default_features));
    for (int32_t kind = 0; kind < COULIS_FEATURES_DEFAULT; kind++) {
        const int64_t length = coulis_model_features_length(model, kind);
        if (length > 0 || kind <= COULIS_FEATURES_LOGITS)
            cJSON_AddNumberToObject(object, coulis_option_word("features", kind), (double)length);
    }
    cJSON_AddNumberToObject(object, "parameters", (double)info->parameters);
    cJSON_AddNumberToObject(object, "multiply_adds", (double)info->multiply_adds);
    cJSON_AddStringToObject(object, "source", info->source);
    cJSON_AddStringToObject(object, "licence", info->licence);
    cJSON_AddStringToObject(object, "sha256", info->sha256);
    return object;
}

static void print_json(cJSON *json) {
    char *text = cJSON_Print(json);
    if (text) puts(text);
    cJSON_free(text);
    cJSON_Delete(json);
}

typedef struct listing {
    cJSON *array; /* NULL: print lines */
    bool speed;
} listing;

static void list_one(void *context, const char *name, const char *path) {
    const listing *list = context;
    coulis_error error;
    coulis_model *model = NULL;
    coulis_model_info info = {0};
    if (!open_model(path, &model, &info, &error)) {
        fprintf(stderr, "coulis: %s\n", error.message);
    } else if (list->array) {
        cJSON *object = model_json(name, path, model, &info);
        if (list->speed) cJSON_AddNumberToObject(object, "images_per_second", speed(model));
        cJSON_AddItemToArray(list->array, object);
    } else {
        char features[256];
        printf("%-22s %8.1f MB  %4dx%-4d  ", name, megabytes(path), info.input_width, info.input_height);
        if (list->speed) printf("%8.1f  ", speed(model));
        printf("%-40s  %s%s\n", features_text(model, &info, features), info.licence,
               ends_in(path, ".json") ? " (graph only, no weights)" : "");
    }
    coulis_model_close(model);
}

int cli_models_list(const cli_options *options) {
    coulis_error error;
    listing list = {.array = options->json ? cJSON_CreateArray() : NULL, .speed = options->speed != 0};
    if (!list.array)
        printf("%-22s %11s  %9s  %s%-40s  %s\n", "name", "size", "input", list.speed ? "images/s  " : "",
               "features: dimensions", "licence");
    coulis_status status = coulis_model_list(list_one, &list, &error);
    if (list.array) print_json(list.array);
    return status == COULIS_OK ? EXIT_DONE : cli_fail(status, &error);
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
    if (status != COULIS_OK || !open_model(path, &model, &info, &error)) {
        coulis_model_close(model);
        return cli_fail(COULIS_MISSING, &error);
    }
    if (options->json) {
        print_json(model_json(info.name, path, model, &info));
    } else {
        char features[256];
        printf("name           %s\nfile           %s (%.1f MB)\nsource         %s\nlicence        %s\n"
               "SHA-256        %s\ninput          %d x %d\nfeatures       %s\nparameters     %lld\n"
               "multiply-adds  %lld per image\n",
               info.name, path, megabytes(path), info.source, info.licence, info.sha256, info.input_width,
               info.input_height, features_text(model, &info, features), (long long)info.parameters,
               (long long)info.multiply_adds);
    }
    coulis_model_close(model);
    return EXIT_DONE;
}

int cli_models_path(const cli_options *options) {
    char path[4096];
    coulis_error error;
    coulis_status status = coulis_model_find(options->paths[0], path, sizeof path, &error);
    if (status != COULIS_OK) return cli_fail(status, &error);
    puts(path);
    return EXIT_DONE;
}
