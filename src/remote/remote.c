#include "remote/remote.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "remote/fetch.h"
#include "remote/http.h"

struct cl_remote {
    cl_stop stop;
    pthread_mutex_t mutex; /* of the making of what follows */
    cl_http *http;
    pid_t process; /* that made it: connections cannot be shared with a child */
};

coulis_status cl_remote_create(cl_remote **out, coulis_error *error) {
    cl_remote *remote = cl_alloc_zero(1, sizeof *remote);
    if (!remote) return cl_fail_memory(error, "connections", sizeof *remote);
    cl_stop_begin(&remote->stop);
    pthread_mutex_init(&remote->mutex, NULL);
    remote->process = getpid();
    *out = remote;
    return COULIS_OK;
}

void cl_remote_free(cl_remote *remote) {
    if (!remote) return;
    if (remote->process == getpid()) cl_http_free(remote->http);
    pthread_mutex_destroy(&remote->mutex);
    cl_stop_end(&remote->stop);
    cl_free(remote);
}

void cl_remote_stop(cl_remote *remote) { cl_stop_set(&remote->stop); }

static bool has_scheme(const char *name, const char *scheme) { return strncasecmp(name, scheme, strlen(scheme)) == 0; }

bool cl_remote_is_s3(const char *name) {
    return has_scheme(name, "s3://") || has_scheme(name, "s3a://") || has_scheme(name, "s3n://");
}

bool cl_remote_serves(const char *name) { return has_scheme(name, "http://") || has_scheme(name, "https://"); }

static coulis_status get(cl_remote *remote, cl_fetch *fetch, coulis_error *error) {
    coulis_status status = COULIS_OK;
    pthread_mutex_lock(&remote->mutex);
    if (remote->process != getpid()) { /* a fork: what was made belongs to the parent, whose sockets it holds */
        remote->http = NULL;
        remote->process = getpid();
    }
    if (!remote->http) status = cl_http_create(&remote->stop, &remote->http, error);
    pthread_mutex_unlock(&remote->mutex);
    return status == COULIS_OK ? cl_http_get(remote->http, fetch, error) : status;
}

coulis_status cl_remote_read(cl_remote *remote, const char *name, int64_t max_bytes, uint8_t **bytes, size_t *size,
                             cl_file_state *state, coulis_error *error) {
    cl_fetch fetch = {.name = name, .max_bytes = max_bytes, .first = -1, .total = -1};
    coulis_status status = get(remote, &fetch, error);
    if (status != COULIS_OK) return status;
    *bytes = fetch.bytes;
    *size = fetch.size;
    if (state) *state = fetch.state;
    return COULIS_OK;
}

coulis_status cl_remote_read_part(cl_remote *remote, const char *name, int64_t first, size_t size, uint8_t *bytes,
                                  size_t *got, int64_t *total, cl_file_state *state, coulis_error *error) {
    cl_fetch fetch = {.name = name, .max_bytes = (int64_t)size, .first = first, .total = -1};
    coulis_status status = get(remote, &fetch, error);
    if (status != COULIS_OK) return status;
    if (fetch.size > 0) memcpy(bytes, fetch.bytes, fetch.size);
    *got = fetch.size;
    *total = fetch.total;
    if (state) *state = fetch.state;
    cl_fetch_clear(&fetch);
    return COULIS_OK;
}

coulis_status cl_remote_state(cl_remote *remote, const char *name, cl_file_state *state, coulis_error *error) {
    uint8_t byte;
    size_t got;
    int64_t total;
    coulis_status status = cl_remote_read_part(remote, name, 0, 1, &byte, &got, &total, state, error);
    if (status != COULIS_OK) return status;
    state->has_bytes = total >= 0;
    state->bytes = total;
    return COULIS_OK;
}
