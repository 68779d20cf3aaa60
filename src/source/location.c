#include "source/location.h"

#include <strings.h>

#include "image/image.h"
#include "source/path_text.h"

bool cl_location_has_scheme(const char *name) { return cl_remote_has_scheme(name); }

coulis_status cl_location_refuse(const char *name, coulis_status status, coulis_error *error) {
    return cl_fail(error, status, "%s: '%.*s' is not served", name, (int)(strstr(name, "://") + 3 - name), name);
}

bool cl_location_is_remote(const char *name) { return cl_remote_serves(name); }

char *cl_location_path(const char *name) {
    const char *path = strstr(name, "://") + 3;
    path += strcspn(path, "/");
    path += *path == '/';
    char *copy = cl_strdup(path);
    if (!copy || strncasecmp(name, "http", 4) != 0) return copy;
    copy[strcspn(copy, "?#")] = '\0';
    char *to = copy;
    for (const char *from = copy; *from; from++) {
        const int high = *from == '%' ? cl_hex_digit(from[1]) : -1, low = high < 0 ? -1 : cl_hex_digit(from[2]);
        const int byte = high * 16 + low;
        if (low >= 0 && byte != 0 && byte != '/') {
            *to++ = (char)byte;
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return copy;
}

coulis_status cl_location_read(cl_remote *remote, const char *name, int64_t max_bytes, uint8_t **bytes, size_t *size,
                               cl_file_state *state, coulis_error *error) {
    bool is_file;
    if (state) *state = (cl_file_state){0};
    char *path = cl_path_of_text(name, &is_file);
    if (is_file) {
        coulis_status status = path ? cl_image_read_file(path, max_bytes, bytes, size, state, error)
                                    : cl_fail_memory(error, name, strlen(name));
        /* A file may be called that. */
        if (status == COULIS_MISSING) status = cl_image_read_file(name, max_bytes, bytes, size, state, error);
        cl_free(path);
        return status;
    }
    if (cl_remote_serves(name)) return cl_remote_read(remote, name, max_bytes, bytes, size, state, error);
    if (cl_location_has_scheme(name)) return cl_location_refuse(name, COULIS_UNREADABLE, error);
    return cl_image_read_file(name, max_bytes, bytes, size, state, error);
}

cl_remote_options cl_location_options(const coulis_source_options *options) {
    return options ? cl_remote_how(options->no_sign_request, options->requester_pays) : cl_remote_how(0, 0);
}

coulis_status cl_location_state(const char *name, const coulis_source_options *options, cl_file_state *state,
                                coulis_error *error) {
    *state = (cl_file_state){0};
    if (!cl_location_has_scheme(name)) return cl_file_state_at(name, state, error);
    if (!cl_remote_serves(name)) return COULIS_OK;
    cl_remote *remote;
    const cl_remote_options how = cl_location_options(options);
    coulis_status status = cl_remote_create(&how, &remote, error);
    if (status) return status;
    status = cl_remote_state(remote, name, state, error);
    cl_remote_free(remote);
    return status;
}

coulis_status cl_location_open(const char *name, const coulis_source_options *options, FILE **stream, uint64_t *size,
                               coulis_error *error) {
    const cl_remote_options how = cl_location_options(options);
    if (cl_remote_serves(name)) return cl_remote_open(&how, name, stream, size, NULL, error);
    if (cl_location_has_scheme(name)) return cl_location_refuse(name, COULIS_INVALID_ARGUMENT, error);
    return cl_file_open(name, stream, size, error);
}

int32_t coulis_source_serves(const char *name) {
    return name && (!cl_location_has_scheme(name) || cl_location_is_remote(name));
}
