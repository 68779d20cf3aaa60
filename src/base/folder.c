#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"

coulis_status cl_folder_lock(const char *path, int *descriptor, coulis_error *error) {
    *descriptor = cl_open(path, O_RDONLY | O_DIRECTORY);
    if (*descriptor < 0) return cl_fail(error, COULIS_IO, "%s: cannot be opened: %s", path, strerror(errno));
    if (flock(*descriptor, LOCK_EX | LOCK_NB) == 0) return COULIS_OK;
    const int number = errno;
    cl_folder_unlock(descriptor);
    if (number == EWOULDBLOCK)
        return cl_fail(error, COULIS_CONFLICT, "%s: another coulis is at work in this folder", path);
    return cl_fail(error, COULIS_IO, "%s: cannot be locked: %s", path, strerror(number));
}

void cl_folder_unlock(int *descriptor) {
    if (*descriptor >= 0) close(*descriptor); /* and with it goes the lock */
    *descriptor = -1;
}

coulis_status cl_folder_own(const char *parent, char **path, coulis_error *error) {
    coulis_status status = cl_make_folders(parent, error);
    if (status) return status;
    char *made = cl_format("%s/read-XXXXXX", parent);
    if (!made) return cl_fail_memory(error, parent, strlen(parent));
    if (!mkdtemp(made)) {
        status = cl_fail(error, COULIS_IO, "%s: no folder can be made there: %s", parent, strerror(errno));
        cl_free(made);
        return status;
    }
    *path = made;
    return COULIS_OK;
}

static coulis_status remove_all(int parent, const char *name, const char *path, int depth, coulis_error *error) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return COULIS_OK;
    if (errno != EISDIR && errno != EPERM) /* what Linux, and what POSIX says of a folder */
        return cl_fail(error, COULIS_IO, "%s: cannot be removed: %s", path, strerror(errno));
    const int folder = depth > 0 ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    DIR *directory = folder >= 0 ? fdopendir(folder) : NULL;
    if (!directory) {
        if (folder >= 0) close(folder);
        return cl_fail(error, COULIS_IO, "%s: cannot be removed: %s", path, strerror(depth > 0 ? errno : ELOOP));
    }
    coulis_status status = COULIS_OK;
    for (const char *entry; !status && (entry = cl_next_name((cl_listing *)directory, path, &status, error));)
        status = remove_all(dirfd(directory), entry, path, depth - 1, error);
    closedir(directory);
    if (!status && unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        status = cl_fail(error, COULIS_IO, "%s: cannot be removed: %s", path, strerror(errno));
    return status;
}

coulis_status cl_folder_remove_empty(const char *path, coulis_error *error) {
    if (rmdir(path) == 0 || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST) return COULIS_OK;
    return cl_fail(error, COULIS_IO, "%s: cannot be removed: %s", path, strerror(errno));
}

coulis_status cl_folder_remove(const char *path, coulis_error *error) {
    return remove_all(AT_FDCWD, path, path, 16, error);
}

const char *cl_cache_start(const char **between) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    *between = xdg && *xdg ? "/coulis" : "/.cache/coulis";
    return xdg && *xdg ? xdg : home && *home ? home : NULL;
}

coulis_status cl_folder_cache(const char *below, char **path, coulis_error *error) {
    const char *between, *start = cl_cache_start(&between);
    if (!start)
        return cl_fail(error, COULIS_MISSING, "there is no place for files: neither HOME nor XDG_CACHE_HOME is set");
    *path = cl_format("%s%s/%s", start, between, below);
    return *path ? COULIS_OK : cl_fail_memory(error, below, 0);
}

coulis_status cl_random_name(char name[CL_RANDOM_NAME], coulis_error *error) {
    unsigned char bytes[CL_RANDOM_NAME / 2];
    if (getentropy(bytes, sizeof bytes) != 0)
        return cl_fail(error, COULIS_IO, "the system gives no random numbers: %s", strerror(errno));
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(name + 2 * i, 3, "%02x", bytes[i]);
    return COULIS_OK;
}
