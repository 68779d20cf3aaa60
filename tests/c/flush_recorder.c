/* Loaded in front of the C library (LD_PRELOAD), it records how a program changes the folder FLUSH_ROOT, so that
 * tests/python/power_loss.py can tell what of it a loss of power would leave.
 *
 * At each flush, rename, removal and new folder it appends one line of JSON to FLUSH_LOG/events: what was done, and the
 * folder as programs see it after that. A flushed file is copied to FLUSH_LOG/content-N. What was written and not
 * flushed needs no record: it is what gets lost. Nothing is flushed really, as the machine keeps its power. */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A file whatever its name: inode numbers are used again, the time of birth distinguishes those. */
static void identify(FILE *out, const char *path) {
    struct statx about;
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &about) != 0) {
        fprintf(out, "null");
        return;
    }
    fprintf(out, "\"%s-%llu-%lld.%u\"", S_ISDIR(about.stx_mode) ? "d" : "f", (unsigned long long)about.stx_ino,
            (long long)about.stx_btime.tv_sec, about.stx_btime.tv_nsec);
}

/* Everything below a folder, as "path": "identity". */
static void list(FILE *out, const char *path) {
    fprintf(out, "\"%s\":", path);
    identify(out, path);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char below[4096];
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        fputc(',', out);
        list(out, below);
    }
    if (folder) closedir(folder);
}

static void copy(const char *from, const char *to) {
    char block[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n;
    while (in >= 0 && out >= 0 && (n = read(in, block, sizeof block)) > 0)
        if (write(out, block, (size_t)n) != n) abort();
    close(in);
    close(out);
}

/* Writes an event down; `flushed` (NULL for none) is the file or folder that was flushed. */
static void record(const char *what, const char *flushed) {
    const char *root = getenv("FLUSH_ROOT"), *log = getenv("FLUSH_LOG");
    if (!root || !log || (flushed && strncmp(flushed, root, strlen(root)) != 0)) return;
    static long number;
    char path[4096];
    pthread_mutex_lock(&lock);
    snprintf(path, sizeof path, "%s/events", log);
    FILE *events = fopen(path, "ae");
    if (!events) abort();
    fprintf(events, "{\"what\":\"%s\"", what);
    if (flushed) {
        fprintf(events, ",\"flushed\":");
        identify(events, flushed);
        struct stat about;
        if (stat(flushed, &about) == 0 && S_ISREG(about.st_mode)) {
            snprintf(path, sizeof path, "%s/content-%d-%ld", log, (int)getpid(), number++);
            copy(flushed, path);
            fprintf(events, ",\"content\":\"%s\"", path);
        }
    }
    fprintf(events, ",\"tree\":{");
    list(events, root);
    fprintf(events, "}}\n");
    fclose(events);
    pthread_mutex_unlock(&lock);
}

static int flushed(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return -1;
    path[length] = '\0';
    record("flush", path);
    return 0;
}

int fsync(int descriptor) { return flushed(descriptor); }
int fdatasync(int descriptor) { return flushed(descriptor); }

/* The function of that name behind this library, called and recorded. */
#define RECORDED(name, parameters, arguments)                                                                          \
    int name parameters {                                                                                              \
        int(*real) parameters;                                                                                         \
        *(void **)&real = dlsym(RTLD_NEXT, #name);                                                                     \
        int result = real arguments;                                                                                   \
        if (result == 0) record(#name, NULL);                                                                          \
        return result;                                                                                                 \
    }

RECORDED(rename, (const char *from, const char *to), (from, to))
RECORDED(renameat, (int folder, const char *from, int other, const char *to), (folder, from, other, to))
RECORDED(remove, (const char *path), (path))
RECORDED(unlink, (const char *path), (path))
RECORDED(unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
RECORDED(rmdir, (const char *path), (path))
RECORDED(mkdir, (const char *path, mode_t mode), (path, mode))
RECORDED(mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode))
RECORDED(link, (const char *from, const char *to), (from, to))
