#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

/* The errno of a refused operation as a sentence. A limit on file size and a full quota are told
 * in the words of a full disk by strerror, so its text is enough. */
static coulis_status fail_system(coulis_error *error, const char *verb, const char *path, int number) {
    return cl_fail(error, number == ENOENT ? COULIS_MISSING : COULIS_IO, "cannot %s '%s': %s", verb, path,
                   strerror(number ? number : EIO));
}

static coulis_status fail_write(coulis_error *error, const char *path, int number) {
    return cl_fail(error, COULIS_IO, "cannot write '%s': %s", path, strerror(number ? number : EIO));
}

bool cl_of_the_machine(int number) {
    switch (number) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EAGAIN:
    case EINTR:
    case ENOSPC:
    case EDQUOT:
    case ETIMEDOUT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENOTCONN:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED: return true;
    default: return false;
    }
}

int cl_open(const char *path, int flags) {
    int descriptor;
    do descriptor = open(path, flags | O_CLOEXEC);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

coulis_status cl_file_open(const char *path, FILE **stream, uint64_t *size, coulis_error *error) {
    /* Non-blocking, so that a FIFO is refused below rather than waited for. */
    int descriptor = cl_open(path, O_RDONLY | O_NONBLOCK);
    if (descriptor < 0) return fail_system(error, "open", path, errno);
    struct stat info;
    coulis_status status = COULIS_OK;
    FILE *opened = NULL;
    if (fstat(descriptor, &info) != 0) status = fail_system(error, "read", path, errno);
    else if (!S_ISREG(info.st_mode))
        status = cl_fail(error, COULIS_IO, "cannot read '%s': it is no regular file", path);
    else if (!(opened = fdopen(descriptor, "rb"))) status = fail_system(error, "open", path, errno);
    if (status) {
        close(descriptor);
        return status;
    }
    *stream = opened;
    *size = (uint64_t)info.st_size;
    return COULIS_OK;
}

coulis_status cl_file_read(const char *path, int64_t max_bytes, uint8_t **bytes, size_t *size, coulis_error *error) {
    FILE *stream;
    uint64_t length;
    coulis_status status = cl_file_open(path, &stream, &length, error);
    if (status) return status;
    uint8_t *memory = NULL;
    if (length > (uint64_t)max_bytes) {
        status = cl_fail(error, COULIS_IO, "cannot read '%s': it has %llu bytes, more than the %lld allowed", path,
                         (unsigned long long)length, (long long)max_bytes);
    } else if (!(memory = cl_alloc(length + 1, 1))) {
        status = cl_fail_memory(error, path, length + 1);
    } else {
        errno = 0;
        if (fread(memory, 1, length, stream) != length)
            status = cl_fail(error, COULIS_IO, "cannot read '%s': %s", path,
                             ferror(stream) && errno ? strerror(errno) : "it became shorter");
    }
    fclose(stream);
    if (status) {
        cl_free(memory);
        return status;
    }
    memory[length] = 0;
    *bytes = memory;
    *size = length;
    return COULIS_OK;
}

cl_file_state cl_file_state_of(const struct stat *about) {
    if (!S_ISREG(about->st_mode)) return (cl_file_state){0};
    return (cl_file_state){.has_bytes = true, .has_modified = true, .bytes = about->st_size,
                           .modified = (int64_t)about->st_mtim.tv_sec * 1000000 + about->st_mtim.tv_nsec / 1000};
}

cl_file_state cl_file_state_at(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 ? cl_file_state_of(&about) : (cl_file_state){0};
}

bool cl_file_state_equal(const cl_file_state *one, const cl_file_state *other) {
    return one->has_bytes == other->has_bytes && one->has_modified == other->has_modified &&
           one->bytes == other->bytes && one->modified == other->modified;
}

/* The length of the folder part of `path`, its last slash included; 0 when there is none. */
static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

coulis_status cl_new_file_begin(cl_new_file *file, const char *path, coulis_error *error) {
    size_t length = strlen(path), folder = folder_length(path);
    cl_new_file made = {.path = cl_strdup(path), .temporary = cl_alloc(length + sizeof "..tmp", 1)};
    if (!made.path || !made.temporary) {
        cl_free(made.path);
        cl_free(made.temporary);
        return cl_fail_memory(error, "a file name", length);
    }
    memcpy(made.temporary, path, folder);
    snprintf(made.temporary + folder, length + sizeof "..tmp" - folder, ".%s.tmp", path + folder);
    made.stream = fopen(made.temporary, "wbe");
    if (!made.stream) {
        coulis_status status = fail_write(error, path, errno);
        cl_free(made.path);
        cl_free(made.temporary);
        return status;
    }
    *file = made;
    return COULIS_OK;
}

static void release(cl_new_file *file) {
    cl_free(file->path);
    cl_free(file->temporary);
    memset(file, 0, sizeof *file);
}

void cl_new_file_abort(cl_new_file *file) {
    if (!file->stream) return;
    fclose(file->stream);
    unlink(file->temporary);
    release(file);
}

/* A rename is durable only when the folder that holds the name is flushed too. */
static int flush_folder(const char *path) {
    size_t length = folder_length(path);
    char *folder = length ? cl_strdup(path) : cl_strdup(".");
    if (!folder) return ENOMEM;
    if (length) folder[length] = '\0';
    int descriptor = cl_open(folder, O_RDONLY | O_DIRECTORY);
    cl_free(folder);
    if (descriptor < 0) return errno;
    /* Some network file systems know no fsync of a folder and say EINVAL. */
    int number = fsync(descriptor) != 0 && errno != EINVAL ? errno : 0;
    close(descriptor);
    return number;
}

void cl_new_file_failed(cl_new_file *file) {
    if (!file->number) file->number = errno ? errno : EIO;
}

void cl_new_file_write(cl_new_file *file, const void *bytes, size_t size) {
    if (!file->number && fwrite(bytes, 1, size, file->stream) != size) cl_new_file_failed(file);
}

coulis_status cl_new_file_commit(cl_new_file *file, coulis_error *error) {
    if (!file->number && (ferror(file->stream) || fflush(file->stream) != 0 || fsync(fileno(file->stream)) != 0))
        cl_new_file_failed(file);
    if (fclose(file->stream) != 0) cl_new_file_failed(file);
    if (!file->number && rename(file->temporary, file->path) != 0) cl_new_file_failed(file);
    int number = file->number;
    if (number) unlink(file->temporary);
    else number = flush_folder(file->path);
    coulis_status status = number ? fail_write(error, file->path, number) : COULIS_OK;
    release(file);
    return status;
}

coulis_status cl_file_write(const char *path, const void *bytes, size_t size, coulis_error *error) {
    cl_new_file file;
    coulis_status status = cl_new_file_begin(&file, path, error);
    if (status) return status;
    cl_new_file_write(&file, bytes, size);
    return cl_new_file_commit(&file, error);
}

coulis_status cl_make_folders(const char *path, coulis_error *error) {
    char *prefix = cl_strdup(path);
    if (!prefix) return cl_fail_memory(error, "a folder name", strlen(path));
    coulis_status status = COULIS_OK;
    for (char *end = prefix; !status && *end; ) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char kept = *end;
        *end = '\0';
        struct stat info;
        if (mkdir(prefix, 0777) != 0) {
            int number = errno;
            /* Not EEXIST alone: a read-only parent says EROFS of a folder that is there. */
            if (stat(prefix, &info) != 0)
                status = cl_fail(error, COULIS_IO, "cannot make the folder '%s': %s", prefix, strerror(number));
            else if (!S_ISDIR(info.st_mode))
                status = cl_fail(error, COULIS_IO, "cannot make the folder '%s': a file of that name is there",
                                 prefix);
        }
        *end = kept;
    }
    cl_free(prefix);
    return status;
}
