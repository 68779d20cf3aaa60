/* Where models lie: by path, or by name in a few folders. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/disk.h"
#include "base/files.h"
#include "base/folder.h"
#include "base/library.h"
#include "net/model_find.h"

#define PATH_CAPACITY 4096
#define ENDING ".safetensors"
#define GRAPH_ENDING ".graph.json"

/* The folders models are looked for in, in order; "" for one that there is none of. */
typedef struct folders {
    char path[5][PATH_CAPACITY];
} folders;
#define FOLDERS 5

static void find_folders(folders *f) {
    char library[PATH_CAPACITY - 32];
    const char *own = getenv("COULIS_MODELS"), *between, *cache = cl_cache_start(&between);
    *f = (folders){0};
    if (own) snprintf(f->path[0], PATH_CAPACITY, "%s", own);
    if (cache) snprintf(f->path[1], PATH_CAPACITY, "%s%s/models", cache, between);
    if (!cl_library_folder(true, library, sizeof library)) return;
    snprintf(f->path[2], PATH_CAPACITY, "%s/models", library);
    /* Of an installed library: PREFIX/lib, or PREFIX/lib/x86_64-linux-gnu. */
    snprintf(f->path[3], PATH_CAPACITY, "%s/../share/coulis/models", library);
    snprintf(f->path[4], PATH_CAPACITY, "%s/../../share/coulis/models", library);
}

/* Whether a path is there; a machine that cannot tell must not be taken for no, as then another file of this name would
 * be found. */
static coulis_status is_there(const char *path, bool *there, coulis_error *error) {
    *there = cl_path_exists(path);
    if (*there || !cl_of_the_machine(errno)) return COULIS_OK;
    return cl_fail(error, COULIS_IO, "%s: %s", path, strerror(errno));
}

/* Whether folder/name.ending is there; its path goes to `path`. */
static coulis_status exists(const char *folder, const char *name, const char *ending, char *path, size_t capacity,
                            bool *there, coulis_error *error) {
    *there = false;
    int length = snprintf(path, capacity, "%s%s%s%s", folder, *folder ? "/" : "", name, ending);
    return length > 0 && (size_t)length < capacity ? is_there(path, there, error) : COULIS_OK;
}

coulis_status cl_model_find(const char *name, bool graph_only, char *path, size_t capacity, coulis_error *error) {
    if (!name || !*name || !path) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no name of a model given");
    bool there = false, is_path = strchr(name, '/') != NULL;
    coulis_status status = is_path ? COULIS_OK : is_there(name, &is_path, error);
    if (!status && is_path) status = exists("", name, "", path, capacity, &there, error);
    if (status || there) return status;
    if (is_path) return cl_fail(error, COULIS_MISSING, "%s: no such model file", name);
    folders f;
    find_folders(&f);
    for (int i = 0; i < FOLDERS; i++) {
        if (!*f.path[i]) continue;
        status = exists(f.path[i], name, ENDING, path, capacity, &there, error);
        if (!status && !there && graph_only)
            status = exists(f.path[i], name, GRAPH_ENDING, path, capacity, &there, error);
        if (status || there) return status;
    }
    return cl_fail(error, COULIS_MISSING,
                   "model '%.100s' not found: no %.100s" ENDING " in the folder COULIS_MODELS names, in %.100s or in "
                   "%.100s; 'coulis models' lists those that are, 'coulis models get' those that can be fetched",
                   name, name, *f.path[1] ? f.path[1] : "(no cache folder)", f.path[2]);
}

coulis_status coulis_model_find(const char *name, char *path, size_t capacity, coulis_error *error) {
    return cl_done(cl_model_find(name, false, path, capacity, error), error);
}

typedef struct found {
    char *name, *path;
    int folder; /* an earlier folder hides a later one, and a file with weights one without */
    bool graph_only;
} found;

static int by_name(const void *a, const void *b) {
    const found *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (order == 0) order = x->graph_only - y->graph_only;
    return order ? order : x->folder - y->folder;
}

/* Appends the model that a file's name ends like, if it does. */
static coulis_status add_model(const char *folder, int number, const char *file, found **list, size_t *count,
                               coulis_error *error) {
    size_t length = strlen(file), full = strlen(ENDING), graph = strlen(GRAPH_ENDING);
    bool weights = length > full && strcmp(file + length - full, ENDING) == 0;
    bool alone = length > graph && strcmp(file + length - graph, GRAPH_ENDING) == 0;
    if (file[0] == '.' || (!weights && !alone)) return COULIS_OK;
    found *grown = cl_grow(*list, *count + 1, sizeof *grown);
    if (!grown) return cl_fail_memory(error, "the list of models", *count * sizeof *grown);
    *list = grown;
    found *one = &grown[(*count)++];
    *one = (found){.name = cl_format("%.*s", (int)(length - (weights ? full : graph)), file),
                   .path = cl_format("%s/%s", folder, file),
                   .folder = number,
                   .graph_only = !weights};
    return one->name && one->path ? COULIS_OK : cl_fail_memory(error, "the name of a model", length);
}

/* Appends the models in one folder. */
static coulis_status list_folder(const char *folder, int number, found **list, size_t *count, coulis_error *error) {
    cl_listing *listing = cl_listing_open(folder);
    if (!listing && cl_of_the_machine(errno))
        return cl_fail(error, COULIS_IO, "%s: cannot be listed: %s", folder, strerror(errno));
    if (!listing) return COULIS_OK; /* most of these folders do not exist */
    coulis_status status = COULIS_OK;
    for (const char *file; !status && (file = cl_next_name(listing, folder, &status, error));)
        status = add_model(folder, number, file, list, count, error);
    cl_listing_close(listing);
    return status;
}

coulis_status coulis_model_list(void (*each)(void *context, const char *name, const char *path), void *context,
                                coulis_error *error) {
    if (!each) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no function to tell the models to");
    folders f;
    find_folders(&f);
    found *list = NULL;
    size_t count = 0;
    coulis_status status = COULIS_OK;
    for (int i = 0; !status && i < FOLDERS; i++)
        if (*f.path[i]) status = list_folder(f.path[i], i, &list, &count, error);
    if (!status && count > 0) qsort(list, count, sizeof *list, by_name);
    for (size_t i = 0; !status && i < count; i++)
        if (i == 0 || strcmp(list[i].name, list[i - 1].name) != 0) each(context, list[i].name, list[i].path);
    for (size_t i = 0; i < count; i++) {
        cl_free(list[i].name);
        cl_free(list[i].path);
    }
    cl_free(list);
    return cl_done(status, error);
}
