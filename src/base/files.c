#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sync.h"

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

coulis_status cl_file_open(const char *path, FILE **stream, uint64_t *size, coulis_error *error) {
    /* Non-blocking, so that a FIFO is refused below rather than waited for. */
    int descriptor = cl_open(path, O_RDONLY | O_NONBLOCK);
    if (descriptor < 0) return fail_system(error, "open", path, errno);
    struct stat info;
    coulis_status status = COULIS_OK;
    FILE *opened = NULL;
    if (fstat(descriptor, &info) != 0) status = fail_system(error, "read", path, errno);
    else if (!S_ISREG(info.st_mode))
        status = cl_fail(error, COULIS_IO, "cannot read '%s': it is not a regular file", path);
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

cl_file_state cl_file_state_of(const cl_about *about) {
    if (about->kind != CL_PATH_FILE) return (cl_file_state){0};
    return (cl_file_state){.has_bytes = true, .has_modified = true, .bytes = about->bytes, .modified = about->modified};
}

coulis_status cl_file_state_at(const char *path, cl_file_state *state, coulis_error *error) {
    cl_about about;
    *state = (cl_file_state){0};
    if (cl_look(path, &about)) *state = cl_file_state_of(&about);
    else if (cl_of_the_machine(errno)) return fail_system(error, "look at", path, errno);
    return COULIS_OK;
}

bool cl_file_state_equal(const cl_file_state *one, const cl_file_state *other) {
    return one->has_bytes == other->has_bytes && one->has_modified == other->has_modified &&
           one->bytes == other->bytes && one->modified == other->modified;
}

coulis_status cl_file_sha256(const char *path, int64_t *bytes, char sha256[CL_SHA256_TEXT], coulis_error *error) {
    FILE *stream;
    uint64_t size;
    coulis_status status = cl_file_open(path, &stream, &size, error);
    if (status) return status;
    uint8_t block[65536];
    cl_sha256 hash;
    cl_sha256_begin(&hash);
    *bytes = 0;
    for (size_t n; (n = fread(block, 1, sizeof block, stream)) > 0; *bytes += (int64_t)n)
        cl_sha256_add(&hash, block, n);
    if (ferror(stream)) status = fail_system(error, "read", path, errno);
    fclose(stream);
    cl_sha256_end(&hash, sha256);
    return status;
}

/* The length of the folder part of `path`, its last slash included; 0 when there is none. */
static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* ---- a new file ---- */

/* Written and hashed at a time: what stays in a second-level cache between the two. */
#define PIECE_BYTES ((size_t)256 << 10)
/* So often the disk is told to begin. */
#define FLUSH_BYTES ((int64_t)8 << 20)
/* From so many bytes on a thread hashes what is being written. */
#define BESIDE_BYTES ((size_t)4 << 20)

/* Behind the stream of a new file: all that is written passes here, so that its digest needs no reading. */
struct cl_sink {
    int descriptor;
    int64_t bytes;
    int64_t begun; /* so many of them the disk has been told to write */
    cl_sha256 hash;
};

/* Lets the disk begin with what has been written, so that the flush at the end waits for less. Nothing rests on it. */
static void begin_flush(struct cl_sink *sink) {
#ifdef SYNC_FILE_RANGE_WRITE
    const int number = errno;
    sync_file_range(sink->descriptor, sink->begun, sink->bytes - sink->begun, SYNC_FILE_RANGE_WRITE);
    errno = number;
#endif
    sink->begun = sink->bytes;
}

/* Bytes that are hashed while they are written. */
typedef struct hashing {
    cl_sha256 *hash;
    const char *bytes;
    size_t size;
} hashing;

static void *hash_bytes(void *argument) {
    const hashing *h = argument;
    cl_sha256_add(h->hash, h->bytes, h->size);
    return NULL;
}

/* Whether all of it was written. */
static bool write_bytes(struct cl_sink *sink, const char *bytes, size_t size, bool hashes) {
    for (size_t done = 0; done < size;) {
        ssize_t n = write(sink->descriptor, bytes + done, size - done < PIECE_BYTES ? size - done : PIECE_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        if (hashes) cl_sha256_add(&sink->hash, bytes + done, (size_t)n);
        done += (size_t)n;
        sink->bytes += n;
        if (sink->bytes - sink->begun >= FLUSH_BYTES) begin_flush(sink);
    }
    return true;
}

/* A failure leaves the digest of what it may: the file is given up. */
static ssize_t sink_write(void *cookie, const char *bytes, size_t size) {
    struct cl_sink *sink = cookie;
    hashing all = {.hash = &sink->hash, .bytes = bytes, .size = size};
    cl_beside beside = {.running = false};
    if (size >= BESIDE_BYTES) cl_beside_begin(&beside, hash_bytes, &all);
    const bool good = write_bytes(sink, bytes, size, size < BESIDE_BYTES);
    const int number = errno;
    cl_beside_end(&beside);
    errno = number;
    return good ? (ssize_t)size : 0; /* 0: stdio's word for a failure here */
}

/* Opens `path` for writing and locks it, so that two processes never write to one file; -1 and errno. */
static int open_locked(const char *path) {
    for (;;) {
        int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (descriptor < 0) return -1;
        struct stat held, named;
        int number = 0;
        if (flock(descriptor, LOCK_EX | LOCK_NB) != 0 || fstat(descriptor, &held) != 0) number = errno;
        bool same = !number && stat(path, &named) == 0 && named.st_dev == held.st_dev && named.st_ino == held.st_ino;
        if (same && ftruncate(descriptor, 0) != 0) number = errno;
        if (same && !number) return descriptor;
        close(descriptor);
        errno = number;
        if (number) return -1;
        /* Another process had it and has renamed it meanwhile: the name is free. */
    }
}

/* Opens the stream through the sink. */
static int open_stream(cl_new_file *file) {
    file->sink = cl_alloc_zero(1, sizeof *file->sink);
    if (!file->sink) return ENOMEM;
    cl_sha256_begin(&file->sink->hash);
    file->sink->descriptor = open_locked(file->temporary);
    if (file->sink->descriptor < 0) return errno;
    file->stream = fopencookie(file->sink, "w", (cookie_io_functions_t){.write = sink_write});
    if (file->stream) return 0;
    close(file->sink->descriptor);
    unlink(file->temporary);
    return ENOMEM;
}

static void release(cl_new_file *file) {
    cl_free(file->sink);
    cl_free(file->path);
    cl_free(file->temporary);
    memset(file, 0, sizeof *file);
}

coulis_status cl_new_file_begin(cl_new_file *file, const char *path, coulis_error *error) {
    size_t length = strlen(path), folder = folder_length(path);
    cl_new_file made = {.path = cl_strdup(path), .temporary = cl_alloc(length + sizeof "..tmp", 1)};
    if (!made.path || !made.temporary) {
        release(&made);
        return cl_fail_memory(error, "a file name", length);
    }
    memcpy(made.temporary, path, folder);
    snprintf(made.temporary + folder, length + sizeof "..tmp" - folder, ".%s.tmp", path + folder);
    int number = open_stream(&made);
    if (number) {
        release(&made);
        if (number == EWOULDBLOCK)
            return cl_fail(error, COULIS_CONFLICT, "cannot write '%s': another process is writing it", path);
        if (number == ENOMEM) return cl_fail_memory(error, path, sizeof *made.sink);
        return fail_write(error, path, number);
    }
    *file = made;
    return COULIS_OK;
}

/* Closes stream and descriptor. */
static void close_stream(cl_new_file *file) {
    if (fclose(file->stream) != 0) cl_new_file_failed(file);
    file->stream = NULL;
    if (close(file->sink->descriptor) != 0) cl_new_file_failed(file);
}

void cl_new_file_abort(cl_new_file *file) {
    if (!file->path) return;
    unlink(file->temporary); /* before the lock goes: the name is ours still */
    if (file->stream) close_stream(file);
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

coulis_status cl_flush_folder(const char *path, coulis_error *error) {
    char *inside = cl_alloc(strlen(path) + 2, 1);
    if (!inside) return cl_fail_memory(error, path, strlen(path) + 2);
    snprintf(inside, strlen(path) + 2, "%s/", path);
    int number = flush_folder(inside);
    cl_free(inside);
    return number ? fail_write(error, path, number) : COULIS_OK;
}

coulis_status cl_remove(const char *path, coulis_error *error) {
    if (remove(path) == 0 || errno == ENOENT) return COULIS_OK;
    return cl_fail(error, COULIS_IO, "%s: cannot be removed: %s", path, strerror(errno));
}

void cl_new_file_failed(cl_new_file *file) {
    if (!file->number) file->number = errno ? errno : EIO;
}

void cl_new_file_write(cl_new_file *file, const void *bytes, size_t size) {
    if (!file->number && fwrite(bytes, 1, size, file->stream) != size) cl_new_file_failed(file);
}

coulis_status cl_new_file_flush(cl_new_file *file, coulis_error *error) {
    errno = 0;
    if (!file->number && (ferror(file->stream) || fflush(file->stream) != 0 ||
                          (file->flushing != CL_FLUSH_NOTHING && fsync(file->sink->descriptor) != 0)))
        cl_new_file_failed(file);
    if (file->number) {
        coulis_status status = fail_write(error, file->path, file->number);
        cl_new_file_abort(file);
        return status;
    }
    file->flushed = true;
    file->bytes = file->sink->bytes;
    cl_sha256_end(&file->sink->hash, file->sha256);
    return COULIS_OK;
}

coulis_status cl_new_file_commit(cl_new_file *file, coulis_error *error) {
    coulis_status status = file->flushed ? COULIS_OK : cl_new_file_flush(file, error);
    if (status) return status;
    if (rename(file->temporary, file->path) != 0) cl_new_file_failed(file);
    int number = file->number;
    if (number) unlink(file->temporary);
    close_stream(file);
    if (!number) number = file->number;
    if (!number && file->flushing == CL_FLUSH_ALL) number = flush_folder(file->path);
    if (number) status = fail_write(error, file->path, number);
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
    for (char *end = prefix; !status && *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char kept = *end;
        *end = '\0';
        struct stat info;
        if (mkdir(prefix, 0777) == 0) {
            int number = flush_folder(prefix);
            if (number) status = fail_write(error, prefix, number);
        } else {
            int number = errno;
            /* Not EEXIST alone: a read-only parent says EROFS of a folder that is there. */
            if (stat(prefix, &info) != 0)
                status = cl_fail(error, COULIS_IO, "cannot make the folder '%s': %s", prefix, strerror(number));
            else if (!S_ISDIR(info.st_mode))
                status = cl_fail(error, COULIS_IO, "cannot make the folder '%s': a file of that name is there", prefix);
        }
        *end = kept;
    }
    cl_free(prefix);
    return status;
}
