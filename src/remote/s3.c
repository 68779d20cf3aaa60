#include "remote/s3.h"

#include <stdio.h>

#include "base/library.h"

#define FILE_NAME "libcoulis_s3.so"

/* It lies beside this library; beside a program with the static one the system finds it. `reason` says why it could
 * not be loaded from the first place. */
static void *open_library(char *reason, size_t size) {
    char folder[4096];
    if (cl_library_folder(false, folder, sizeof folder)) {
        char *path = cl_format("%s/" FILE_NAME, folder);
        void *library = path ? cl_library_open(path, reason, size) : NULL;
        if (!path) snprintf(reason, size, "memory is short");
        cl_free(path);
        if (library) return library;
    }
    return cl_library_open(FILE_NAME, reason, *reason ? 0 : size);
}

coulis_status cl_s3_load(const cl_s3_calls **calls, coulis_error *error) {
    char reason[300] = "";
    void *library = open_library(reason, sizeof reason);
    const cl_s3_calls *found = library ? cl_library_symbol(library, CL_S3_SYMBOL) : NULL;
    if (found && found->interface == CL_S3_INTERFACE) {
        *calls = found;
        return COULIS_OK;
    }
    return cl_fail(error, COULIS_IO,
                   "s3:// needs " FILE_NAME " beside the library, and OpenSSL 3 (libssl3), which "
                   "could not be loaded: %s",
                   found ? "it is of another version" : reason);
}
