#include "image/late.h"

#include <dlfcn.h>
#include <stddef.h>

coulis_status cl_late_load(const cl_source *picture, const cl_late *library, void **functions, void **handle) {
    void *loaded = NULL;
    for (const char *const *file = library->files; *file && !loaded; file++) {
        loaded = dlopen(*file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    }
    for (size_t i = 0; loaded && library->symbols[i]; i++) {
        functions[i] = dlsym(loaded, library->symbols[i]);
        if (functions[i]) continue;
        dlclose(loaded);
        loaded = NULL;
    }
    *handle = loaded;
    if (loaded) return COULIS_OK;
    return cl_source_fail(picture, COULIS_UNSUPPORTED,
                          "is %s, which needs a library of the system that is not installed: install %s",
                          library->format, library->package);
}

void cl_late_close(void *handle) { dlclose(handle); }
