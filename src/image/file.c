#include <errno.h>
#include <inttypes.h>

#include "base/files.h"
#include "image/image.h"
#include "image/source.h"

/* So often is a file read that changes meanwhile. */
#define ATTEMPTS 3

static coulis_status fail_errno(const cl_source *image, int error) {
    if (error == ENOENT || error == ENOTDIR) return cl_source_fail(image, COULIS_MISSING, "does not exist");
    if (error == ENOMEM) return cl_source_fail_memory(image);
    /* Not a row of this image, of which nothing is known: the job ends, and can be resumed. */
    const coulis_status status = cl_of_the_machine(error) ? COULIS_IO : COULIS_UNREADABLE;
    return cl_source_fail(image, status, "cannot be read: %s", strerror(error));
}

static const char *name_of(cl_path_kind kind) {
    switch (kind) {
    case CL_PATH_FOLDER: return "a folder";
    case CL_PATH_PIPE: return "a pipe";
    case CL_PATH_SOCKET: return "a socket";
    default: return "a device";
    }
}

static coulis_status read_open_file(const cl_source *image, int file, int64_t max_bytes, uint8_t **bytes, size_t *size,
                                    cl_file_state *state) {
    cl_about about;
    if (!cl_look_open(file, &about)) return fail_errno(image, errno);
    *state = cl_file_state_of(&about);
    if (about.kind != CL_PATH_FILE)
        return cl_source_fail(image, COULIS_UNREADABLE, "is %s, not a file", name_of(about.kind));
    if (about.bytes == 0) return cl_source_fail(image, COULIS_EMPTY, "is empty: it has no bytes");
    if (about.bytes > max_bytes) {
        return cl_source_fail(image, COULIS_TOO_LARGE, "has %" PRId64 " bytes, more than the limit of %" PRId64,
                              about.bytes, max_bytes);
    }
    uint8_t *memory = cl_alloc((size_t)about.bytes, 1);
    if (!memory) return cl_source_fail_memory(image);
    /* Fewer bytes when the file has become shorter meanwhile. */
    int error = cl_read_all(file, memory, (size_t)about.bytes, size);
    if (error || *size == 0) {
        cl_free(memory);
        if (error) return fail_errno(image, error);
        return cl_source_fail(image, COULIS_EMPTY, "is empty: it has no bytes");
    }
    *bytes = memory;
    return COULIS_OK;
}

/* Whether the file is as it was when reading began. */
static bool is_unchanged(int file, const cl_file_state *state) {
    cl_about about;
    if (!cl_look_open(file, &about)) return false;
    cl_file_state now = cl_file_state_of(&about);
    return cl_file_state_equal(&now, state);
}

coulis_status cl_image_read_file(const char *path, int64_t max_bytes, uint8_t **bytes, size_t *size,
                                 cl_file_state *state, coulis_error *error) {
    cl_source image = {.name = path, .error = error};
    cl_file_state unwanted;
    if (!state) state = &unwanted;
    *state = (cl_file_state){0};
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int file = cl_open_to_read(path);
        if (file < 0) return fail_errno(&image, errno);
        size_t got = 0;
        coulis_status status = read_open_file(&image, file, max_bytes, bytes, &got, state);
        bool whole = status || is_unchanged(file, state);
        cl_close(file);
        if (whole) {
            if (!status) *size = got;
            return status;
        }
        cl_free(*bytes); /* half of it may be of the old state, half of the new */
        *bytes = NULL;
    }
    return cl_source_fail(&image, COULIS_UNREADABLE, "changes while it is read");
}
