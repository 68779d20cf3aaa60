#include "source/flow.h"

#include <errno.h>
#include <stdio.h>
#include <sys/types.h>
#include <zlib.h>

#include "source/location.h"

#define PACKED ((size_t)256 << 10)
#define FIRST_TAKEN ((size_t)1 << 20) /* for which memory is asked whatever a header claims */

struct cl_flow {
    FILE *stream;
    char *name;
    bool packed, unpacking; /* it is gzip; `inflater` is set up */
    bool member_ended;
    z_stream inflater;
    uint8_t *buffer; /* PACKED bytes of what is in the file */
};

static coulis_status fail_read(const cl_flow *flow, coulis_error *error) {
    return cl_fail(error, COULIS_IO, "%s: cannot be read: %s", flow->name, strerror(errno ? errno : EIO));
}

static coulis_status damaged(const cl_flow *flow, const char *what, coulis_error *error) {
    return cl_fail(error, COULIS_BAD_DATA, "%s: %s", flow->name, what);
}

/* Looks for gzip's magic number, and goes back. */
static coulis_status look(cl_flow *flow, coulis_error *error) {
    uint8_t magic[2];
    errno = 0;
    size_t got = fread(magic, 1, sizeof magic, flow->stream);
    if (ferror(flow->stream) || fseeko(flow->stream, 0, SEEK_SET) != 0) return fail_read(flow, error);
    if (got < 2 || magic[0] != 0x1F || magic[1] != 0x8B) return COULIS_OK;
    flow->packed = true;
    flow->buffer = cl_alloc(PACKED, 1);
    /* 16: gzip's header and check sum; 15: the largest window. */
    if (!flow->buffer || inflateInit2(&flow->inflater, 16 + 15) != Z_OK)
        return cl_fail_memory(error, flow->name, PACKED);
    flow->unpacking = true;
    return COULIS_OK;
}

coulis_status cl_flow_open(const char *name, const coulis_source_options *options, cl_flow **out, coulis_error *error) {
    cl_flow *flow = cl_alloc_zero(1, sizeof *flow);
    if (!flow) return cl_fail_memory(error, name, sizeof *flow);
    flow->name = cl_strdup(name);
    uint64_t size;
    coulis_status status = flow->name ? cl_location_open(name, options, &flow->stream, &size, error)
                                      : cl_fail_memory(error, name, strlen(name));
    if (!status) status = look(flow, error);
    if (!status) *out = flow;
    else cl_flow_close(flow);
    return status;
}

void cl_flow_close(cl_flow *flow) {
    if (!flow) return;
    if (flow->unpacking) inflateEnd(&flow->inflater);
    if (flow->stream) fclose(flow->stream);
    cl_free(flow->buffer);
    cl_free(flow->name);
    cl_free(flow);
}

static coulis_status fill_buffer(cl_flow *flow, coulis_error *error) {
    if (flow->inflater.avail_in > 0) return COULIS_OK;
    errno = 0;
    flow->inflater.next_in = flow->buffer;
    flow->inflater.avail_in = (uInt)fread(flow->buffer, 1, PACKED, flow->stream);
    return ferror(flow->stream) ? fail_read(flow, error) : COULIS_OK;
}

/* Has packed bytes, unless the file has ended; zeros behind the last member are padding. */
static coulis_status fill(cl_flow *flow, bool *ended, coulis_error *error) {
    z_stream *z = &flow->inflater;
    coulis_status status = fill_buffer(flow, error);
    while (!status && flow->member_ended && z->avail_in > 0 && *z->next_in == 0) {
        z->next_in++;
        z->avail_in--;
        status = fill_buffer(flow, error);
    }
    if (status) return status;
    *ended = z->avail_in == 0;
    if (*ended && !flow->member_ended) return damaged(flow, "is cut short: its gzip does not end", error);
    if (flow->member_ended && !*ended) {
        if (inflateReset(z) != Z_OK) return damaged(flow, "its gzip is damaged", error);
        flow->member_ended = false;
    }
    return COULIS_OK;
}

static coulis_status unpack(cl_flow *flow, uint8_t *bytes, size_t size, size_t *got, coulis_error *error) {
    z_stream *z = &flow->inflater;
    *got = 0;
    while (*got < size) {
        bool ended;
        coulis_status status = fill(flow, &ended, error);
        if (status || ended) return status;
        size_t room = size - *got;
        z->next_out = bytes + *got;
        z->avail_out = room > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)room;
        const uInt before = z->avail_out;
        int code = inflate(z, Z_NO_FLUSH);
        *got += before - z->avail_out;
        if (code == Z_MEM_ERROR) return cl_fail_memory(error, flow->name, PACKED);
        if (code == Z_STREAM_END) flow->member_ended = true;
        else if (code != Z_OK && code != Z_BUF_ERROR) return damaged(flow, "its gzip is damaged", error);
    }
    return COULIS_OK;
}

coulis_status cl_flow_read(cl_flow *flow, void *bytes, size_t size, size_t *got, coulis_error *error) {
    if (flow->packed) return unpack(flow, bytes, size, got, error);
    errno = 0;
    *got = fread(bytes, 1, size, flow->stream);
    return ferror(flow->stream) ? fail_read(flow, error) : COULIS_OK;
}

coulis_status cl_flow_take(cl_flow *flow, size_t size, uint8_t **out, size_t *got, coulis_error *error) {
    uint8_t *bytes = NULL;
    coulis_status status = COULIS_OK;
    size_t capacity = 0;
    *got = 0;
    while (!status && *got == capacity && (capacity < size || !bytes)) {
        size_t wanted = capacity < FIRST_TAKEN / 2 ? FIRST_TAKEN : 2 * capacity, more;
        if (wanted > size) wanted = size;
        uint8_t *grown = cl_grow(bytes, wanted + 1, 1);
        if (!grown) {
            status = cl_fail_memory(error, flow->name, wanted);
            break;
        }
        bytes = grown;
        capacity = wanted;
        status = cl_flow_read(flow, bytes + *got, capacity - *got, &more, error);
        if (!status) *got += more;
    }
    if (status) {
        cl_free(bytes);
        return status;
    }
    bytes[*got] = '\0';
    *out = bytes;
    return COULIS_OK;
}

coulis_status cl_flow_skip(cl_flow *flow, uint64_t size, coulis_error *error) {
    uint8_t buffer[16384];
    /* A short way is read, which costs less than a seek that throws the stream's buffer away. */
    if (!flow->packed && size > 8 * sizeof buffer && size <= INT64_MAX) {
        if (fseeko(flow->stream, (off_t)size - 1, SEEK_CUR) != 0) return fail_read(flow, error);
        size = 1; /* so that an end before it shows */
    }
    while (size > 0) {
        size_t got, wanted = size < sizeof buffer ? (size_t)size : sizeof buffer;
        coulis_status status = cl_flow_read(flow, buffer, wanted, &got, error);
        if (status) return status;
        if (got < wanted) return damaged(flow, "is cut short", error);
        size -= got;
    }
    return COULIS_OK;
}
