/* An object elsewhere as a stream: blocks of it, fetched as they are needed. */
#include <errno.h>
#include <inttypes.h>

#include "remote/remote.h"

/* Large enough that the time of an answer is small beside that of the bytes. */
#define BLOCK ((size_t)4 << 20)

typedef struct reader {
    cl_remote *remote;
    char *name;
    int64_t size, at; /* of the object; where the next read begins */
    int64_t first;    /* the block in memory */
    size_t there;
    cl_file_state state;
    uint8_t block[BLOCK];
} reader;

static coulis_status fetch_block(reader *r, int64_t first, coulis_error *error) {
    cl_file_state state;
    int64_t total;
    r->there = 0;
    coulis_status status = cl_remote_read_part(r->remote, r->name, first, BLOCK, r->block, &r->there, &total, &state,
                                               error);
    if (status) return status;
    if (total < 0) return cl_fail(error, COULIS_IO, "%s: its server does not say how large it is", r->name);
    if (r->size >= 0 &&
        (total != r->size || state.has_modified != r->state.has_modified || state.modified != r->state.modified))
        return cl_fail(error, COULIS_IO, "%s: changes while it is read", r->name);
    const int64_t left = total - first;
    if ((int64_t)r->there != (left < (int64_t)BLOCK ? left : (int64_t)BLOCK))
        return cl_fail(error, COULIS_IO, "%s: its server sent another range than the one requested", r->name);
    r->first = first;
    r->size = total;
    r->state = state;
    return COULIS_OK;
}

static ssize_t read_some(void *context, char *bytes, size_t size) {
    reader *r = context;
    if (r->at >= r->size || size == 0) return 0;
    if (r->at < r->first || r->at >= r->first + (int64_t)r->there) {
        const int64_t first = r->at - r->at % (int64_t)BLOCK;
        if (fetch_block(r, first, NULL) != COULIS_OK) {
            errno = EIO;
            return -1;
        }
    }
    const size_t from = (size_t)(r->at - r->first), left = r->there - from, count = size < left ? size : left;
    memcpy(bytes, r->block + from, count);
    r->at += (int64_t)count;
    return (ssize_t)count;
}

static int seek(void *context, off64_t *offset, int whence) {
    reader *r = context;
    const int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? r->at : r->size;
    if (*offset < -base) {
        errno = EINVAL;
        return -1;
    }
    *offset = r->at = base + *offset;
    return 0;
}

static int end(void *context) {
    reader *r = context;
    cl_remote_free(r->remote);
    cl_free(r->name);
    cl_free(r);
    return 0;
}

coulis_status cl_remote_open(const cl_remote_options *options, const char *name, FILE **stream, uint64_t *size,
                             cl_file_state *state, coulis_error *error) {
    reader *r = cl_alloc_zero(1, sizeof *r);
    if (!r) return cl_fail_memory(error, name, sizeof *r);
    r->size = -1;
    r->name = cl_strdup(name);
    coulis_status status = r->name ? cl_remote_create(options, &r->remote, error)
                                   : cl_fail_memory(error, name, strlen(name));
    if (!status) status = fetch_block(r, 0, error);
    FILE *opened = NULL;
    if (!status) {
        const cookie_io_functions_t functions = {.read = read_some, .seek = seek, .close = end};
        opened = fopencookie(r, "rb", functions);
        if (!opened) status = cl_fail_memory(error, name, sizeof *r);
    }
    if (status) {
        end(r);
        return status;
    }
    *stream = opened;
    *size = (uint64_t)r->size;
    r->state.has_bytes = true;
    r->state.bytes = r->size;
    if (state) *state = r->state;
    return COULIS_OK;
}
