#include "base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool tell(bool good, const struct stat *info, cl_about *about) {
    if (!good) return false;
    *about = (cl_about){
        .kind = S_ISREG(info->st_mode)    ? CL_PATH_FILE
                : S_ISDIR(info->st_mode)  ? CL_PATH_FOLDER
                : S_ISLNK(info->st_mode)  ? CL_PATH_LINK
                : S_ISFIFO(info->st_mode) ? CL_PATH_PIPE
                : S_ISSOCK(info->st_mode) ? CL_PATH_SOCKET
                                          : CL_PATH_DEVICE,
        .bytes = info->st_size,
        .modified = (int64_t)info->st_mtim.tv_sec * 1000000 + info->st_mtim.tv_nsec / 1000,
        .device = (uint64_t)info->st_dev,
        .number = (uint64_t)info->st_ino,
    };
    return true;
}

bool cl_look(const char *path, cl_about *about) {
    struct stat info;
    return tell(stat(path, &info) == 0, &info, about);
}

bool cl_same_place(const cl_about *one, const cl_about *other) {
    return one->device == other->device && one->number == other->number;
}

bool cl_look_open(int descriptor, cl_about *about) {
    struct stat info;
    return tell(fstat(descriptor, &info) == 0, &info, about);
}

bool cl_path_exists(const char *path) { return access(path, F_OK) == 0; }

/* What malloc gave, as memory of our own. */
static char *own(char *text) {
    char *copy = text ? cl_strdup(text) : NULL;
    if (text && !copy) errno = ENOMEM;
    free(text);
    return copy;
}

char *cl_working_folder(void) { return own(getcwd(NULL, 0)); }

char *cl_real_path(const char *path) { return own(realpath(path, NULL)); }

/* ---- the names in a folder ---- */

cl_listing *cl_listing_open(const char *folder) { return (cl_listing *)opendir(folder); }

void cl_listing_close(cl_listing *listing) {
    if (listing) closedir((DIR *)listing);
}

const char *cl_listing_next(cl_listing *listing) {
    errno = 0;
    for (const struct dirent *entry; (entry = readdir((DIR *)listing)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) return entry->d_name;
    return NULL;
}

static coulis_status fail_list(const char *folder, coulis_error *error) {
    return cl_fail(error, COULIS_IO, "%s: cannot be listed: %s", folder, strerror(errno));
}

coulis_status cl_listing_find(const char *folder, cl_listing **listing, coulis_error *error) {
    *listing = cl_listing_open(folder);
    return *listing || errno == ENOENT ? COULIS_OK : fail_list(folder, error);
}

const char *cl_next_name(cl_listing *listing, const char *folder, coulis_status *status, coulis_error *error) {
    const char *name = listing ? cl_listing_next(listing) : NULL;
    if (listing && !name && errno) *status = fail_list(folder, error);
    return name;
}

bool cl_listing_about(const cl_listing *listing, cl_about *about) {
    return cl_look_open(dirfd((DIR *)(uintptr_t)listing), about);
}

bool cl_listing_look(const cl_listing *listing, const char *name, cl_about *about) {
    struct stat info;
    return tell(fstatat(dirfd((DIR *)(uintptr_t)listing), name, &info, AT_SYMLINK_NOFOLLOW) == 0, &info, about);
}

/* ---- files by descriptor ---- */

int cl_open(const char *path, int flags) {
    int descriptor;
    do descriptor = open(path, flags | O_CLOEXEC);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

int cl_open_to_read(const char *path) { return cl_open(path, O_RDONLY | O_NONBLOCK); }

int cl_read_all(int descriptor, void *bytes, size_t size, size_t *got) {
    *got = 0;
    while (*got < size) {
        const ssize_t n = read(descriptor, (char *)bytes + *got, size - *got);
        if (n == 0) break;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        *got += (size_t)n;
    }
    return 0;
}

static bool seek_last_line(int descriptor) {
    off_t end = lseek(descriptor, 0, SEEK_END);
    for (char last = 0; end > 0; end--) {
        if (pread(descriptor, &last, 1, end - 1) != 1) return false;
        if (last == '\n') break;
    }
    return end >= 0 && ftruncate(descriptor, end) == 0 && lseek(descriptor, end, SEEK_SET) >= 0;
}

int cl_open_to_append(const char *path) {
    const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0 || seek_last_line(descriptor)) return descriptor;
    const int number = errno;
    close(descriptor);
    errno = number;
    return -1;
}

bool cl_flush(int descriptor) { return fsync(descriptor) == 0; }

bool cl_append(int descriptor, const void *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(descriptor, (const char *)bytes + done, size - done);
        if (n > 0) done += (size_t)n;
        else if (n == 0 || errno != EINTR) return false;
    }
    return true;
}

void cl_close(int descriptor) { close(descriptor); }

bool cl_link(const char *from, const char *to) { return link(from, to) == 0; }
