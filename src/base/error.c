#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *coulis_version(void) { return COULIS_VERSION; }

void cl_clear(coulis_error *error) {
    if (error) {
        error->status = COULIS_OK;
        error->message[0] = '\0';
    }
}

coulis_status cl_done(coulis_status status, coulis_error *error) {
    if (!status) cl_clear(error);
    return status;
}

coulis_status cl_fail(coulis_error *error, coulis_status status, const char *format, ...) {
    if (!error) return status;
    error->status = (int32_t)status;
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    if (written < 0) {
        error->message[0] = '\0';
    } else if ((size_t)written >= sizeof error->message) {
        /* Step back over the continuation bytes of a UTF-8 character cut in two. */
        size_t end = sizeof error->message - 1;
        while (end > 0 && ((unsigned char)error->message[end - 1] & 0xC0) == 0x80) end--;
        if (end > 0 && ((unsigned char)error->message[end - 1] & 0x80) != 0) end--;
        error->message[end] = '\0';
    }
    return status;
}

coulis_status cl_fail_memory(coulis_error *error, const char *what, size_t bytes) {
    return cl_fail(error, COULIS_NO_MEMORY, "not enough memory: %zu bytes for %s", bytes, what);
}

void cl_error_rename(coulis_error *error, const char *from, const char *to) {
    const size_t length = strlen(from);
    if (!error || length == 0) return;
    char before[sizeof error->message];
    memcpy(before, error->message, sizeof before);
    size_t at = 0;
    for (const char *rest = before; *rest && at + 1 < sizeof before;) {
        const bool found = strncmp(rest, from, length) == 0;
        const char *text = found ? to : rest;
        const size_t room = sizeof before - 1 - at, wanted = found ? strlen(to) : 1;
        const size_t size = wanted < room ? wanted : room;
        memcpy(error->message + at, text, size);
        at += size;
        rest += found ? length : 1;
    }
    error->message[at] = '\0';
}
