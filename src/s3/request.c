#include "s3/request.h"

#include <aws/auth/auth.h>
#include <aws/http/request_response.h>
#include <aws/io/io.h>
#include <aws/io/stream.h>
#include <aws/io/uri.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "s3/failure.h"

/* ---- what the client calls, from a thread of its own ---- */

static bool header(const struct aws_http_headers *headers, const char *name, char *value, size_t size) {
    struct aws_byte_cursor found;
    value[0] = '\0';
    if (!headers || aws_http_headers_get(headers, cl_cursor(name), &found) != AWS_OP_SUCCESS) return false;
    snprintf(value, size, "%.*s", (int)found.len, (const char *)found.ptr);
    return true;
}

static int take_headers(struct aws_s3_meta_request *request, const struct aws_http_headers *headers, int status,
                        void *context) {
    (void)request;
    cl_s3_answer *a = context;
    char value[128];
    cl_fetch *fetch = a->fetch;
    a->status = status;
    if (!fetch || status / 100 != 2) return AWS_OP_SUCCESS;
    int64_t length = -1;
    if (header(headers, "Content-Length", value, sizeof value)) length = strtoll(value, NULL, 10);
    const char *slash;
    fetch->tagged = header(headers, "ETag", value, sizeof value);
    slash = header(headers, "Content-Range", value, sizeof value) ? strchr(value, '/') : NULL;
    fetch->total = slash ? strtoll(slash + 1, NULL, 10) : length;
    struct tm when = {0};
    if (header(headers, "Last-Modified", value, sizeof value) && strptime(value, "%a, %d %b %Y %H:%M:%S", &when)) {
        fetch->state.has_modified = true;
        fetch->state.modified = (int64_t)timegm(&when) * 1000000;
    }
    if (fetch->first >= 0 || fetch->total <= fetch->max_bytes) return AWS_OP_SUCCESS;
    a->too_large = true;
    return aws_raise_error(AWS_ERROR_S3_CANCELED);
}

static int take_body(struct aws_s3_meta_request *request, const struct aws_byte_cursor *body, uint64_t from,
                     void *context) {
    (void)request, (void)from;
    cl_s3_answer *a = context;
    if (!a->fetch || cl_fetch_append(a->fetch, body->ptr, body->len, &a->no_memory)) return AWS_OP_SUCCESS;
    a->too_large = !a->no_memory;
    return aws_raise_error(AWS_ERROR_S3_CANCELED);
}

static void set(const cl_s3_answer *a, bool *flag) {
    cl_mutex_lock(&a->state->mutex);
    *flag = true;
    cl_condition_broadcast(&a->state->changed);
    cl_mutex_unlock(&a->state->mutex);
}

static void finish(struct aws_s3_meta_request *request, const struct aws_s3_meta_request_result *result,
                   void *context) {
    (void)request;
    cl_s3_answer *a = context;
    a->error_code = result->error_code;
    if (result->response_status) a->status = result->response_status;
    header(result->error_response_headers, "x-amz-bucket-region", a->region, sizeof a->region);
    if (result->error_response_body)
        cl_s3_answer_read(a, (const char *)result->error_response_body->buffer, result->error_response_body->len);
    set(a, &a->finished);
}

static void end(void *context) { set(context, &((cl_s3_answer *)context)->ended); }

/* ---- one request ---- */

static bool add(struct aws_http_message *message, const char *name, const char *value) {
    const struct aws_http_header header = {.name = cl_cursor(name), .value = cl_cursor(value)};
    return aws_http_message_add_header(message, header) == AWS_OP_SUCCESS;
}

static struct aws_http_message *message_of(const cl_s3_state *s, const cl_s3_request *r, const char *path) {
    struct aws_http_message *message = aws_http_message_new_request(s->allocator);
    char text[64];
    bool good = message && aws_http_message_set_request_method(message, cl_cursor(r->method)) == AWS_OP_SUCCESS &&
                aws_http_message_set_request_path(message, cl_cursor(path)) == AWS_OP_SUCCESS &&
                add(message, "User-Agent", "coulis/" COULIS_VERSION);
    if (good && s->options.requester_pays) good = add(message, "x-amz-request-payer", "requester");
    if (good && r->fetch && r->fetch->first >= 0) {
        snprintf(text, sizeof text, "bytes=%" PRId64 "-%" PRId64, r->fetch->first,
                 r->fetch->first + r->fetch->max_bytes - 1);
        good = add(message, "Range", text);
    }
    if (good && r->file) {
        snprintf(text, sizeof text, "%" PRId64, r->file_bytes);
        good = add(message, "Content-Length", text);
    }
    if (good) return message;
    aws_http_message_release(message);
    return NULL;
}

/* Waits until a callback has set the flag. Looks often whether the job has been stopped meanwhile, and then cancels the
 * request, if one is given. */
static void wait_for(cl_s3_state *s, struct aws_s3_meta_request *request, const bool *flag) {
    cl_mutex_lock(&s->mutex);
    while (!*flag) {
        cl_condition_wait_until(&s->changed, &s->mutex, cl_moment_in(1));
        if (*flag || !request || !atomic_load(&s->stop->is_set)) continue;
        cl_mutex_unlock(&s->mutex);
        aws_s3_meta_request_cancel(request);
        request = NULL;
        cl_mutex_lock(&s->mutex);
    }
    cl_mutex_unlock(&s->mutex);
}

static coulis_status send_once(cl_s3_state *s, const cl_s3_request *r, const char *server, const char *path,
                               const char *region, cl_s3_answer *a, coulis_error *error) {
    struct aws_uri endpoint;
    struct aws_byte_cursor text = cl_cursor(server);
    if (r->fetch) cl_fetch_clear(r->fetch);
    if (aws_uri_init_parse(&endpoint, s->allocator, &text) != AWS_OP_SUCCESS)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: '%s' is not the address of a server", r->name, server);
    struct aws_signing_config_aws signing;
    aws_s3_init_default_signing_config(&signing, cl_cursor(region), s->credentials);
    struct aws_http_message *message = message_of(s, r, path);
    const struct aws_s3_meta_request_options options = {.type = r->type,
                                                        .operation_name = cl_cursor(r->operation),
                                                        .signing_config = &signing,
                                                        .message = message,
                                                        .send_filepath = r->file ? cl_cursor(r->file)
                                                                                 : (struct aws_byte_cursor){0},
                                                        .endpoint = &endpoint,
                                                        .user_data = a,
                                                        .headers_callback = take_headers,
                                                        .body_callback = take_body,
                                                        .finish_callback = finish,
                                                        .shutdown_callback = end};
    struct aws_s3_meta_request *request = message ? aws_s3_client_make_meta_request(s->client, &options) : NULL;
    aws_http_message_release(message);
    aws_uri_clean_up(&endpoint);
    if (!request)
        return cl_fail(error, COULIS_IO, "%s: no request can be made: %s", r->name, aws_error_str(aws_last_error()));
    wait_for(s, request, &a->finished);
    aws_s3_meta_request_release(request);
    wait_for(s, NULL, &a->ended);
    if (r->fetch) {
        r->fetch->state.has_bytes = r->fetch->total >= 0;
        r->fetch->state.bytes = r->fetch->total;
    }
    return COULIS_OK;
}

/* ---- as often as it takes ---- */

static char *path_of(const cl_s3_request *r, const char *before, const cl_s3_address *address, bool object) {
    char *key = cl_s3_encode(object ? address->key : "", true);
    char *path = key ? cl_format("%s/%s%s%s", before, key, r->query ? "?" : "", r->query ? r->query : "") : NULL;
    cl_free(key);
    return path;
}

coulis_status cl_s3_send(cl_s3_state *s, const cl_s3_request *r, const cl_s3_address *address, bool object,
                         coulis_error *error) {
    for (int tries = 1;; tries++) {
        cl_s3_answer a = {.state = s, .fetch = r->fetch};
        char *server, *before;
        coulis_status status = cl_s3_place(s, address->bucket, &server, &before, error);
        if (status) return status;
        char *path = path_of(r, before, address, object);
        const char *region = cl_s3_region(s, address->bucket);
        status = path ? send_once(s, r, server, path, region, &a, error) : cl_fail_memory(error, r->name, 0);
        cl_free(path);
        cl_free(server);
        cl_free(before);
        if (status || a.error_code == 0) return status;
        if (a.too_large) return cl_fetch_too_large(r->fetch, r->fetch->total, error);
        if (atomic_load(&s->stop->is_set)) return cl_fail(error, COULIS_INTERRUPTED, "%s: stopped on request", r->name);
        if (tries < 3 && a.region[0] && cl_s3_learn_region(s, address->bucket, a.region)) continue;
        if (a.status == 416 && r->fetch && r->fetch->first >= 0) return COULIS_OK; /* a part behind the end */
        /* The client has tried CL_FETCH_TRIES times whatever it thinks may go better; once more for the rest. */
        if (tries < 2 && cl_s3_may_go_better(&a) && cl_stop_pause(s->stop, tries, 0)) continue;
        return cl_s3_fail(&a, r->name, address->bucket, region, error);
    }
}
