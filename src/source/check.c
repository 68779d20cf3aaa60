/* Whether a place in S3 can be used, step by step. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/files.h"
#include "base/folder.h"
#include "base/sized.h"
#include "remote/remote.h"

#define LISTED_MAX 1000
#define TEXT 512

typedef struct check {
    cl_remote *remote;
    const char *place; /* with a slash at its end */
    void (*step)(void *context, const char *name, const char *text);
    void *context;
    coulis_error *error;
    int64_t count;
    char *first; /* the first object that has bytes */
    int64_t bytes;
} check;

static coulis_status count(void *context, const cl_remote_object *object, coulis_error *error) {
    check *c = context;
    if (object->bytes <= 0) return COULIS_OK;
    c->count++;
    if (c->first) return COULIS_OK;
    const char *bucket = strstr(c->place, "://") + 3;
    c->bytes = object->bytes;
    c->first = cl_format("%.*s%s", (int)(strchr(bucket, '/') + 1 - c->place), c->place, object->key);
    return c->first ? COULIS_OK : cl_fail_memory(error, object->key, 0);
}

/* Says what was allowed to fail, in the words of a policy. */
static coulis_status settle(const check *c, coulis_status status, const char *permission) {
    if (status != COULIS_UNREADABLE || !c->error) return status;
    coulis_error error = *c->error;
    return cl_fail(c->error, COULIS_IO, "%.400s (%s)", error.message, permission);
}

static coulis_status describe(const check *c) {
    char key[TEXT], region[TEXT], server[TEXT], text[3 * TEXT];
    coulis_status status = cl_remote_describe(c->remote, c->place, key, region, server, TEXT, c->error);
    if (status) return status;
    snprintf(text, sizeof text, "%s%s", key[0] ? key : "none", key[0] ? "..." : "");
    c->step(c->context, "keys", text);
    snprintf(text, sizeof text, "%s, at %s", region, server);
    c->step(c->context, "region", text);
    return COULIS_OK;
}

static coulis_status list(check *c) {
    char text[2 * TEXT];
    coulis_status status = cl_remote_list(c->remote, c->place, LISTED_MAX, count, c, c->error);
    if (status) return settle(c, status, "s3:ListBucket");
    snprintf(text, sizeof text, "%" PRId64 "%s objects in %s", c->count, c->count == LISTED_MAX ? " or more" : "",
             c->place);
    c->step(c->context, "list", text);
    return COULIS_OK;
}

static coulis_status read_one(const check *c) {
    char text[2 * TEXT];
    if (!c->first) {
        c->step(c->context, "read", "not tried: there is no object to read");
        return COULIS_OK;
    }
    uint8_t byte;
    size_t got;
    int64_t total;
    coulis_status status = cl_remote_read_part(c->remote, c->first, 0, 1, &byte, &got, &total, NULL, c->error);
    if (status) return settle(c, status, "s3:GetObject");
    snprintf(text, sizeof text, "%s: %" PRId64 " bytes", c->first, total);
    c->step(c->context, "read", text);
    return COULIS_OK;
}

/* A file of a few words, to be written; released with cl_free, and removed by its name. */
static coulis_status make_file(const check *c, char path[TEXT]) {
    static const char words[] = "written by coulis check; may be deleted\n";
    const char *folder = getenv("TMPDIR");
    char unique[CL_RANDOM_NAME];
    coulis_status status = cl_random_name(unique, c->error);
    if (status) return status;
    snprintf(path, TEXT, "%s/coulis-check-%s", folder && *folder ? folder : "/tmp", unique);
    return cl_file_write(path, words, sizeof words - 1, c->error);
}

static coulis_status write_and_delete(const check *c) {
    char path[TEXT];
    coulis_status status = make_file(c, path);
    if (status) return status;
    char *name = cl_format("%s%s", c->place, strrchr(path, '/') + 1);
    status = name ? cl_remote_put(c->remote, name, path, c->error) : cl_fail_memory(c->error, c->place, 0);
    remove(path);
    if (!status) {
        c->step(c->context, "write", name);
        status = settle(c, cl_remote_delete(c->remote, name, c->error), "s3:DeleteObject");
        if (!status) c->step(c->context, "delete", name);
    } else {
        status = settle(c, status, "s3:PutObject");
    }
    cl_free(name);
    return status;
}

coulis_status coulis_check(const char *address, const coulis_source_options *options,
                           void (*step)(void *context, const char *name, const char *text), void *context,
                           coulis_error *error) {
    coulis_source_options own = {.size = sizeof own};
    coulis_error unwanted;
    if (!error) error = &unwanted;
    if (!address || !step) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no address or no callback given");
    if (!cl_remote_is_s3(address))
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "%s: is not an S3 address; it should look like s3://bucket/folder", address);
    coulis_status status = cl_sized_read(options, "coulis_source_options", &own, sizeof own, error);
    if (status) return status;
    const cl_remote_options how = cl_remote_how(own.no_sign_request, own.requester_pays);
    size_t length = strlen(address);
    while (length > 0 && address[length - 1] == '/') length--;
    char *place = cl_format("%.*s/", (int)length, address);
    check c = {.place = place, .step = step, .context = context, .error = error};
    status = place ? cl_remote_create(&how, &c.remote, error) : cl_fail_memory(error, address, length);
    if (!status) status = describe(&c);
    if (!status) status = list(&c);
    if (!status) status = read_one(&c);
    if (!status) status = write_and_delete(&c);
    cl_remote_free(c.remote);
    cl_free(c.first);
    cl_free(place);
    if (!status) cl_clear(error);
    return status;
}
