#include "base/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

void *cl_library_open(const char *file, char *reason, size_t size) {
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const char *failure = library || size == 0 ? NULL : dlerror(); /* freed by the next call */
    if (failure) snprintf(reason, size, "%s", failure);
    return library;
}

void *cl_library_symbol(void *library, const char *name) { return dlsym(library, name); }

void cl_library_close(void *library) { dlclose(library); }

bool cl_library_folder(bool real, char *folder, size_t capacity) {
    Dl_info about;
    /* A data address: ISO C does not convert a function pointer to an object pointer. */
    static const char here = 0;
    if (dladdr(&here, &about) == 0 || !about.dli_fname) return false;
    char *resolved = real ? realpath(about.dli_fname, NULL) : strdup(about.dli_fname);
    const char *slash = resolved ? strrchr(resolved, '/') : NULL;
    const bool fits = slash && (size_t)(slash - resolved) < capacity;
    if (fits) snprintf(folder, capacity, "%.*s", (int)(slash - resolved), resolved);
    free(resolved);
    return fits;
}
