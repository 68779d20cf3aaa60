/* Objects of any size to files of this machine. */
#include "remote/remote.h"

/* Large enough that the time of an answer is small beside that of the bytes. */
#define PART_BYTES ((size_t)16 << 20)

coulis_status cl_remote_copy(cl_remote *remote, const char *address, cl_new_file *file, coulis_error *error) {
    uint8_t *bytes = cl_alloc(PART_BYTES, 1);
    if (!bytes) return cl_fail_memory(error, address, PART_BYTES);
    coulis_status status = COULIS_OK;
    int64_t at = 0, size = -1;
    cl_file_state first = {0};
    do {
        size_t got = 0;
        int64_t total = -1;
        cl_file_state state = {0};
        status = cl_remote_read_part(remote, address, at, PART_BYTES, bytes, &got, &total, &state, error);
        if (status) break;
        const int64_t left = total - at;
        if (at == 0) {
            size = total;
            first = state;
        }
        if (total < 0 || total != size || state.modified != first.modified)
            status = cl_fail(error, COULIS_IO, "%s: changes while it is read", address);
        else if ((int64_t)got != (left < (int64_t)PART_BYTES ? left : (int64_t)PART_BYTES))
            status = cl_fail(error, COULIS_IO, "%s: its server sent another range than the one requested", address);
        if (!status) cl_new_file_write(file, bytes, got);
        at += (int64_t)got;
    } while (!status && at < size);
    cl_free(bytes);
    return status;
}
