/* What the library calls: reading, writing and removing objects. */
#include <aws/auth/auth.h>
#include <stdio.h>

#include "s3/failure.h"
#include "s3/list.h"
#include "s3/request.h"

/* The first part of an object, which most images are no larger than: one request, whatever it has. */
static coulis_status get_begin(cl_s3_state *s, const cl_s3_address *address, cl_fetch *fetch, bool *whole,
                               coulis_error *error) {
    cl_fetch part = {.name = fetch->name,
                     .total = -1,
                     .max_bytes = fetch->max_bytes < (int64_t)CL_S3_PART ? fetch->max_bytes : (int64_t)CL_S3_PART};
    const cl_s3_request request = {.name = fetch->name,
                                   .method = "GET",
                                   .operation = "GetObject",
                                   .fetch = &part,
                                   .type = AWS_S3_META_REQUEST_TYPE_DEFAULT};
    coulis_status status = cl_s3_send(s, &request, address, true, error);
    fetch->tagged = part.tagged;
    *whole = !status && part.total <= (int64_t)part.size;
    if (!status && part.total > fetch->max_bytes) status = cl_fetch_too_large(fetch, part.total, error);
    if (!*whole || status) {
        cl_fetch_clear(&part);
        return status;
    }
    fetch->bytes = part.bytes;
    fetch->size = part.size;
    fetch->state = part.state;
    return cl_fetch_check(fetch, error);
}

static coulis_status get(cl_s3_state *s, cl_fetch *fetch, coulis_error *error) {
    cl_s3_address address;
    coulis_status status = cl_s3_address_read(fetch->name, &address, error);
    if (status) return status;
    bool whole = false;
    if (fetch->first < 0) status = get_begin(s, &address, fetch, &whole, error);
    if (!status && !whole) {
        /* What is large comes in several parts at a time; in one answer where the server cannot say that they are of
         * one state. */
        const cl_s3_request request = {.name = fetch->name,
                                       .method = "GET",
                                       .operation = "GetObject",
                                       .fetch = fetch,
                                       .type = fetch->first < 0 && fetch->tagged ? AWS_S3_META_REQUEST_TYPE_GET_OBJECT
                                                                                 : AWS_S3_META_REQUEST_TYPE_DEFAULT};
        status = cl_s3_send(s, &request, &address, true, error);
        if (!status) status = cl_fetch_check(fetch, error);
    }
    if (status) cl_fetch_clear(fetch);
    cl_free(address.bucket);
    return status;
}

static coulis_status put(cl_s3_state *s, const char *name, const char *file, coulis_error *error) {
    cl_file_state there;
    coulis_status status = cl_file_state_at(file, &there, error);
    if (status) return status;
    if (!there.has_bytes) return cl_fail(error, COULIS_MISSING, "%s: does not exist", file);
    /* The client cuts it into parts of CL_S3_PART where it is larger. */
    cl_s3_request request = {.name = name,
                             .method = "PUT",
                             .operation = "PutObject",
                             .file = file,
                             .type = AWS_S3_META_REQUEST_TYPE_PUT_OBJECT,
                             .file_bytes = there.bytes};
    cl_s3_address address;
    status = cl_s3_address_read(name, &address, error);
    if (status) return status;
    status = cl_s3_send(s, &request, &address, true, error);
    cl_free(address.bucket);
    return status;
}

static coulis_status delete_object(cl_s3_state *s, const char *name, coulis_error *error) {
    const cl_s3_request request = {
        .name = name, .method = "DELETE", .operation = "DeleteObject", .type = AWS_S3_META_REQUEST_TYPE_DEFAULT};
    cl_s3_address address;
    coulis_status status = cl_s3_address_read(name, &address, error);
    if (status) return status;
    status = cl_s3_send(s, &request, &address, true, error);
    cl_free(address.bucket);
    return status == COULIS_MISSING ? COULIS_OK : status;
}

/* ---- what is in use ---- */

typedef struct keys {
    cl_s3_state *state;
    bool there;
    char first[8];
    int error_code;
} keys;

static void take_keys(struct aws_credentials *credentials, int error_code, void *context) {
    keys *k = context;
    if (credentials) {
        const struct aws_byte_cursor id = aws_credentials_get_access_key_id(credentials);
        snprintf(k->first, sizeof k->first, "%.*s", (int)(id.len < 4 ? id.len : 4), (const char *)id.ptr);
    }
    cl_mutex_lock(&k->state->mutex);
    k->error_code = error_code;
    k->there = true;
    cl_condition_broadcast(&k->state->changed);
    cl_mutex_unlock(&k->state->mutex);
}

static coulis_status describe(cl_s3_state *s, const char *name, char *key, char *region, char *server, size_t size,
                              coulis_error *error) {
    keys k = {.state = s};
    if (aws_credentials_provider_get_credentials(s->credentials, take_keys, &k) != AWS_OP_SUCCESS) k.there = true;
    cl_mutex_lock(&s->mutex);
    while (!k.there) cl_condition_wait(&s->changed, &s->mutex);
    cl_mutex_unlock(&s->mutex);
    if (!k.first[0] && !s->options.no_sign_request) {
        const cl_s3_answer none = {.state = s, .error_code = AWS_AUTH_SIGNING_NO_CREDENTIALS};
        return cl_s3_fail(&none, name, "", "", error);
    }
    cl_s3_address address;
    coulis_status status = cl_s3_address_read(name, &address, error);
    if (status) return status;
    char *place, *path;
    status = cl_s3_place(s, address.bucket, &place, &path, error);
    if (!status) {
        snprintf(key, size, "%s", k.first);
        snprintf(region, size, "%s", cl_s3_region(s, address.bucket));
        snprintf(server, size, "%s", place);
        cl_free(place);
        cl_free(path);
    }
    cl_free(address.bucket);
    return status;
}

extern const cl_s3_calls coulis_s3_calls;
__attribute__((visibility("default"))) const cl_s3_calls coulis_s3_calls = {.interface = CL_S3_INTERFACE,
                                                                            .create = cl_s3_create,
                                                                            .close = cl_s3_close,
                                                                            .get = get,
                                                                            .list = cl_s3_list,
                                                                            .put = put,
                                                                            .remove = delete_object,
                                                                            .describe = describe};
