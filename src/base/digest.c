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
    d->running = cl_thread_start(&d->thread, make, d) == 0;
    if (!d->running) make(d);
}

coulis_status cl_digest_end(cl_digest *d, coulis_error *error) {
    if (d->running) cl_thread_join(d->thread);
    return d->status ? cl_fail(error, d->status, "%s", d->error.message) : COULIS_OK;
}
