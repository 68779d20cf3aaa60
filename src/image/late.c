#include "image/late.h"

#include "base/library.h"

coulis_status cl_late_load(const cl_source *image, const cl_late *library, void **functions, void **handle) {
    void *loaded = NULL;
    for (const char *const *file = library->files; *file && !loaded; file++) loaded = cl_library_open(*file, NULL, 0);
    for (size_t i = 0; loaded && library->symbols[i]; i++) {
        functions[i] = cl_library_symbol(loaded, library->symbols[i]);
        if (functions[i]) continue;
        cl_library_close(loaded);
        loaded = NULL;
    }
    *handle = loaded;
    if (loaded) return COULIS_OK;
    return cl_source_fail(image, COULIS_UNSUPPORTED,
                          "is %s, which needs a library of the system that is not installed: install %s",
                          library->format, library->package);
}

void cl_late_close(void *handle) { cl_library_close(handle); }
