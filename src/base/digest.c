#include "base/digest.h"

#include "base/files.h"

static void *make(void *argument) {
    cl_digest *d = argument;
    int64_t bytes;
    d->status = cl_file_sha256(d->path, &bytes, d->sha256, &d->error);
    return NULL;
}

void cl_digest_begin(cl_digest *d, const char *path) {
    *d = (cl_digest){.path = path};
    cl_beside_begin(&d->beside, make, d);
}

coulis_status cl_digest_end(cl_digest *d, coulis_error *error) {
    cl_beside_end(&d->beside);
    return d->status ? cl_fail(error, d->status, "%s", d->error.message) : COULIS_OK;
}
