#include "remote/fetch.h"

#include <errno.h>
#include <inttypes.h>

#define FIRST_ROOM ((size_t)64 << 10)

bool cl_fetch_append(cl_fetch *fetch, const void *bytes, size_t size, bool *no_memory) {
    const uint64_t limit = fetch->max_bytes < 0 ? 0 : (uint64_t)fetch->max_bytes;
    if (size > limit || fetch->size > limit - size) return false;
    if (fetch->size + size > fetch->capacity) {
        size_t capacity = fetch->capacity ? fetch->capacity * 2 : FIRST_ROOM;
        while (capacity < fetch->size + size) capacity *= 2;
        if (capacity > limit) capacity = (size_t)limit;
        uint8_t *grown = cl_grow(fetch->bytes, capacity, 1);
        if (!grown) {
            *no_memory = true;
            return false;
        }
        fetch->bytes = grown;
        fetch->capacity = capacity;
    }
    memcpy(fetch->bytes + fetch->size, bytes, size);
    fetch->size += size;
    return true;
}

void cl_fetch_clear(cl_fetch *fetch) {
    cl_free(fetch->bytes);
    fetch->bytes = NULL;
    fetch->size = fetch->capacity = 0;
    fetch->total = -1;
    fetch->state = (cl_file_state){0};
}

coulis_status cl_fetch_too_large(const cl_fetch *fetch, int64_t bytes, coulis_error *error) {
    if (bytes < 0)
        return cl_fail(error, COULIS_TOO_LARGE, "%s: has more bytes than the limit of %" PRId64, fetch->name,
                       fetch->max_bytes);
    return cl_fail(error, COULIS_TOO_LARGE, "%s: has %" PRId64 " bytes, more than the limit of %" PRId64, fetch->name,
                   bytes, fetch->max_bytes);
}

coulis_status cl_fetch_check(const cl_fetch *fetch, coulis_error *error) {
    if (fetch->size > 0 || fetch->first >= 0) return COULIS_OK;
    return cl_fail(error, COULIS_EMPTY, "%s: is empty: it has no bytes", fetch->name);
}

void cl_stop_begin(cl_stop *stop) {
    cl_mutex_init(&stop->mutex);
    cl_condition_init(&stop->stopped);
    atomic_init(&stop->is_set, false);
}

void cl_stop_end(cl_stop *stop) {
    cl_condition_destroy(&stop->stopped);
    cl_mutex_destroy(&stop->mutex);
}

void cl_stop_set(cl_stop *stop) {
    cl_mutex_lock(&stop->mutex);
    atomic_store(&stop->is_set, true);
    cl_condition_broadcast(&stop->stopped);
    cl_mutex_unlock(&stop->mutex);
}

bool cl_stop_pause(cl_stop *stop, int tries, double asked) {
    double seconds = CL_FETCH_PAUSE * (double)(1 << (tries - 1));
    if (asked > seconds) seconds = asked < CL_FETCH_PAUSE_MAX ? asked : CL_FETCH_PAUSE_MAX;
    const int64_t until = cl_moment_in(seconds);
    cl_mutex_lock(&stop->mutex);
    while (!atomic_load(&stop->is_set) && cl_condition_wait_until(&stop->stopped, &stop->mutex, until)) continue;
    const bool go_on = !atomic_load(&stop->is_set);
    cl_mutex_unlock(&stop->mutex);
    return go_on;
}
