#include "remote/remote.h"

#include <ctype.h>
#include <strings.h>

#include "base/sync.h"
#include "remote/fetch.h"
#include "remote/http.h"
#include "remote/s3.h"

struct cl_remote {
    cl_stop stop;
    cl_mutex mutex; /* of the making of what follows */
    cl_http *http;
    const cl_s3_calls *calls; /* NULL until S3 is needed */
    cl_s3_state *s3;
    cl_remote_options options;
    int64_t process; /* that made it: connections cannot be shared with a child */
};

coulis_status cl_remote_create(const cl_remote_options *options, cl_remote **out, coulis_error *error) {
    cl_remote *remote = cl_alloc_zero(1, sizeof *remote);
    if (!remote) return cl_fail_memory(error, "connections", sizeof *remote);
    cl_stop_begin(&remote->stop);
    cl_mutex_init(&remote->mutex);
    remote->process = cl_process();
    if (options) remote->options = *options;
    *out = remote;
    return COULIS_OK;
}

void cl_remote_free(cl_remote *remote) {
    if (!remote) return;
    if (remote->process == cl_process()) {
        cl_http_free(remote->http);
        if (remote->calls) remote->calls->close(remote->s3);
    }
    cl_mutex_destroy(&remote->mutex);
    cl_stop_end(&remote->stop);
    cl_free(remote);
}

void cl_remote_stop(cl_remote *remote) { cl_stop_set(&remote->stop); }

static bool has_scheme(const char *name, const char *scheme) { return strncasecmp(name, scheme, strlen(scheme)) == 0; }

bool cl_remote_has_scheme(const char *name) {
    size_t length = 0; /* RFC 3986: a letter, then letters, digits, plus, dot and minus */
    if (!isalpha((unsigned char)name[0])) return false;
    while (isalnum((unsigned char)name[length]) || (name[length] && strchr("+.-", name[length]))) length++;
    return strncmp(name + length, "://", 3) == 0;
}

bool cl_remote_is_s3(const char *name) {
    return has_scheme(name, "s3://") || has_scheme(name, "s3a://") || has_scheme(name, "s3n://");
}

bool cl_remote_serves(const char *name) {
    return has_scheme(name, "http://") || has_scheme(name, "https://") || cl_remote_is_s3(name);
}

/* Has what an address needs. */
static coulis_status connect_to(cl_remote *remote, bool s3, coulis_error *error) {
    coulis_status status = COULIS_OK;
    cl_mutex_lock(&remote->mutex);
    if (remote->process != cl_process()) { /* a fork: what was made belongs to the parent, whose sockets it holds */
        remote->http = NULL;
        remote->calls = NULL;
        remote->process = cl_process();
    }
    if (s3 && !remote->calls) {
        const cl_s3_calls *calls;
        status = cl_s3_load(&calls, error);
        if (!status) status = calls->create(&remote->stop, &remote->options, &remote->s3, error);
        if (!status) remote->calls = calls;
    } else if (!s3 && !remote->http) {
        status = cl_http_create(&remote->stop, &remote->http, error);
    }
    cl_mutex_unlock(&remote->mutex);
    return status;
}

static coulis_status get(cl_remote *remote, cl_fetch *fetch, coulis_error *error) {
    const bool s3 = cl_remote_is_s3(fetch->name);
    coulis_status status = connect_to(remote, s3, error);
    if (status) return status;
    return s3 ? remote->calls->get(remote->s3, fetch, error) : cl_http_get(remote->http, fetch, error);
}

coulis_status cl_remote_read(cl_remote *remote, const char *name, int64_t max_bytes, uint8_t **bytes, size_t *size,
                             cl_file_state *state, coulis_error *error) {
    cl_fetch fetch = {.name = name, .max_bytes = max_bytes, .first = -1, .total = -1};
    coulis_status status = get(remote, &fetch, error);
    if (status) return status;
    *bytes = fetch.bytes;
    *size = fetch.size;
    if (state) *state = fetch.state;
    return COULIS_OK;
}

coulis_status cl_remote_read_part(cl_remote *remote, const char *name, int64_t first, size_t size, uint8_t *bytes,
                                  size_t *got, int64_t *total, cl_file_state *state, coulis_error *error) {
    cl_fetch fetch = {.name = name, .max_bytes = (int64_t)size, .first = first, .total = -1};
    coulis_status status = get(remote, &fetch, error);
    if (status) return status;
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
    if (status) return status;
    state->has_bytes = total >= 0;
    state->bytes = total;
    return COULIS_OK;
}

coulis_status cl_remote_list(cl_remote *remote, const char *address, int64_t limit,
                             coulis_status (*each)(void *context, const cl_remote_object *object, coulis_error *error),
                             void *context, coulis_error *error) {
    coulis_status status = connect_to(remote, true, error);
    return status ? status : remote->calls->list(remote->s3, address, limit, each, context, error);
}

coulis_status cl_remote_put(cl_remote *remote, const char *address, const char *file, coulis_error *error) {
    coulis_status status = connect_to(remote, true, error);
    return status ? status : remote->calls->put(remote->s3, address, file, error);
}

coulis_status cl_remote_delete(cl_remote *remote, const char *address, coulis_error *error) {
    coulis_status status = connect_to(remote, true, error);
    return status ? status : remote->calls->remove(remote->s3, address, error);
}

coulis_status cl_remote_describe(cl_remote *remote, const char *address, char *key, char *region, char *server,
                                 size_t size, coulis_error *error) {
    coulis_status status = connect_to(remote, true, error);
    return status ? status : remote->calls->describe(remote->s3, address, key, region, server, size, error);
}
