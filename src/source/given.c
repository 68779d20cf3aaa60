#include "source/given.h"

#include "base/sized.h"
#include "source/columns.h"

/* An answer that is an error but says nothing, or is not a status at all, would pass for success further on. */
static coulis_status settle(coulis_status status, const char *what, coulis_error *error) {
    if (!status) return status;
    if (coulis_status_number(coulis_status_name((int32_t)status)) != (int32_t)status)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: the source answered %d, which is not a status", what,
                       (int)status);
    if (!error) return status;
    error->message[sizeof error->message - 1] = '\0';
    if (error->status != (int32_t)status || !error->message[0])
        return cl_fail(error, status, "%s: the source failed without a reason (%s)", what,
                       coulis_status_name((int32_t)status));
    return status;
}

static coulis_status check_count(const cl_given *given, bool ended, coulis_error *error) {
    const long long said = given->own.count, taken = given->taken;
    if (given->own.count < 0 || (ended ? taken == said : taken < said)) return COULIS_OK;
    if (ended)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "the source gave %lld items instead of the %lld it said it had",
                       taken, said);
    return cl_fail(error, COULIS_INVALID_ARGUMENT, "the source gave more items than the %lld it said it had", said);
}

static coulis_status next(void *context, coulis_item *item, coulis_error *error) {
    cl_given *given = context;
    coulis_error own = {0};
    const coulis_status status = settle(given->own.next(given->own.context, item, &own), "the next item", &own);
    if (status) return cl_fail(error, status, "%s", own.message);
    coulis_status counted = check_count(given, item->name == NULL, error);
    if (counted == COULIS_OK && item->name) given->taken++;
    return counted;
}

static coulis_status read_item(void *context, coulis_item *item, int64_t max_bytes, void **bytes, size_t *byte_count,
                               coulis_error *error) {
    const cl_given *given = context;
    coulis_error own = {0};
    void *data = NULL;
    size_t size = 0;
    const char *name = item->name; /* `read` may change its copy of the item, but not what it is called */
    coulis_status status = given->own.read(given->own.context, item, max_bytes, &data, &size, &own);
    status = settle(status, name, &own);
    item->name = name;
    if (!status && data && size > 0 && (int64_t)size <= max_bytes) {
        if (item->bytes < 0) item->bytes = (int64_t)size;
        *bytes = data;
        *byte_count = size;
        return COULIS_OK;
    }
    if (status) return cl_fail(error, status, "%s", own.message);
    if (data) given->own.release(given->own.context, data);
    if (size == 0) return cl_fail(error, COULIS_EMPTY, "%s: is empty", name);
    if (data)
        return cl_fail(error, COULIS_TOO_LARGE, "%s: has %zu bytes, more than the limit of %lld", name, size,
                       (long long)max_bytes);
    return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: the source gave %zu bytes at no address", name, size);
}

static void release(void *context, void *bytes) {
    const cl_given *given = context;
    given->own.release(given->own.context, bytes);
}

static void stop(void *context) {
    const cl_given *given = context;
    given->own.stop(given->own.context);
}

static coulis_status check_columns(const coulis_source *source, coulis_error *error) {
    if (source->column_count < 0 || source->column_count > CL_COLUMNS_MAX || (source->column_count && !source->columns))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "coulis_source: its columns are not given, or more than %d",
                       CL_COLUMNS_MAX);
    for (int64_t i = 0; i < source->column_count; i++) {
        const char *name = source->columns[i];
        if (!name || !*name || cl_column_is_own(name))
            return cl_fail(error, COULIS_INVALID_ARGUMENT, "coulis_source: its column %lld %s", (long long)i,
                           !name || !*name ? "has no name" : "is called as one of the result is");
        for (int64_t before = 0; before < i; before++)
            if (strcmp(source->columns[before], name) == 0)
                return cl_fail(error, COULIS_INVALID_ARGUMENT, "coulis_source: two of its columns are called %s", name);
    }
    return COULIS_OK;
}

coulis_status cl_given_open(const coulis_source *source, cl_given *given, coulis_error *error) {
    *given = (cl_given){.own = {.size = sizeof given->own, .count = -1}};
    coulis_status status = cl_sized_read(source, "coulis_source", &given->own, sizeof given->own, error);
    if (!status && (!given->own.next || !given->own.read || !given->own.release))
        status = cl_fail(error, COULIS_INVALID_ARGUMENT, "coulis_source: next, read or release is missing");
    if (!status && (!given->own.identity || !*given->own.identity))
        status = cl_fail(error, COULIS_INVALID_ARGUMENT,
                         "coulis_source: identity is missing, a text that says which "
                         "items these are; without it, a result of others could pass for theirs");
    if (!status) status = check_columns(&given->own, error);
    given->table = given->own;
    given->table.context = given;
    given->table.next = next;
    given->table.read = read_item;
    given->table.release = release;
    given->table.close = NULL;
    given->table.stop = given->own.stop ? stop : NULL;
    return status;
}
