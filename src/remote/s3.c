#include "remote/s3.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#define FILE_NAME "libcoulis_s3.so"

/* It lies beside this library; beside a program with the static one the system finds it. Why it could not be loaded
 * from the first place is kept in `reason`: the next call of dlopen frees what dlerror gave. */
static void *open_library(char *reason, size_t size) {
    Dl_info about;
    if (dladdr(CL_S3_SYMBOL, &about) != 0 && about.dli_fname && strrchr(about.dli_fname, '/')) {
        char *path = cl_format("%.*s" FILE_NAME, (int)(strrchr(about.dli_fname, '/') + 1 - about.dli_fname),
                               about.dli_fname);
        void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) : NULL;
        const char *failure = path && !library ? dlerror() : NULL;
        snprintf(reason, size, "%s", failure ? failure : "memory is short");
        cl_free(path);
        if (library) return library;
    }
    void *library = dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const char *failure = library || *reason ? NULL : dlerror();
    if (failure) snprintf(reason, size, "%s", failure);
    return library;
}

coulis_status cl_s3_load(const cl_s3_calls **calls, coulis_error *error) {
    char reason[300] = "";
    void *library = open_library(reason, sizeof reason);
    const cl_s3_calls *found = library ? dlsym(library, CL_S3_SYMBOL) : NULL;
    if (found && found->interface == CL_S3_INTERFACE) {
        *calls = found;
        return COULIS_OK;
    }
    return cl_fail(error, COULIS_IO, "s3:// needs " FILE_NAME " beside the library, and OpenSSL 3 (libssl3), which "
                                     "could not be loaded: %s",
                   found ? "it is of another version" : reason);
}
