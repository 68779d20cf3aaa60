/* Where models lie: by path, or by name in a few folders. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "net/model_find.h"

#define PATH_CAPACITY 4096

/* The folder this library was loaded from, without the last slash; "" when it cannot be told. */
static void library_folder(char *folder, size_t capacity) {
    Dl_info info;
    folder[0] = '\0';
    /* A data address: ISO C does not convert a function pointer to an object pointer. */
    static const char here = 0;
    if (dladdr(&here, &info) == 0 || !info.dli_fname) return;
    char *real = realpath(info.dli_fname, NULL);
    if (!real) return;
    char *slash = strrchr(real, '/');
    if (slash && (size_t)(slash - real) < capacity) {
        memcpy(folder, real, (size_t)(slash - real));
        folder[slash - real] = '\0';
    }
    free(real);
}

static bool exists(const char *folder, const char *name, const char *ending, char *path, size_t capacity) {
    int length = snprintf(path, capacity, "%s%s%s%s", folder, *folder ? "/" : "", name, ending);
    return length > 0 && (size_t)length < capacity && access(path, F_OK) == 0;
}

coulis_status cl_model_find(const char *name, bool graph_only, char *path, size_t capacity, coulis_error *error) {
    if (!name || !*name || !path) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no name of a model given");
    if (strchr(name, '/') || access(name, F_OK) == 0) {
        if (exists("", name, "", path, capacity)) return COULIS_OK;
        return cl_fail(error, COULIS_MISSING, "%s: no such model file", name);
    }
    char cache[PATH_CAPACITY] = "", beside[PATH_CAPACITY], library[PATH_CAPACITY - 16];
    const char *own = getenv("COULIS_MODELS"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && *xdg) snprintf(cache, sizeof cache, "%s/coulis/models", xdg);
    else if (home && *home) snprintf(cache, sizeof cache, "%s/.cache/coulis/models", home);
    library_folder(library, sizeof library);
    snprintf(beside, sizeof beside, "%s/models", library);
    const char *const folders[] = {own ? own : "", cache, *library ? beside : ""};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (!*folders[i]) continue;
        if (exists(folders[i], name, ".safetensors", path, capacity)) return COULIS_OK;
        if (graph_only && exists(folders[i], name, ".graph.json", path, capacity)) return COULIS_OK;
    }
    return cl_fail(error, COULIS_MISSING,
                   "model '%.100s' is not here: looked for %.100s.safetensors in COULIS_MODELS, %.100s and %.100s; "
                   "'coulis models' lists those that are",
                   name, name, *cache ? cache : "(no cache folder)", beside);
}

coulis_status coulis_model_find(const char *name, char *path, size_t capacity, coulis_error *error) {
    return cl_model_find(name, false, path, capacity, error);
}
