#include "pipeline/list.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/sha256.h"

struct cl_list {
    char *text; /* every path, NUL-terminated, one after another */
    size_t text_size, text_capacity;
    size_t *offsets;
    int64_t count, capacity;
    bool has_output;
    struct stat output; /* of the folder that is passed over */
    char sha256[CL_SHA256_TEXT];
};

static coulis_status append(cl_list *list, const char *path, coulis_error *error) {
    size_t size = strlen(path) + 1;
    if (list->text_size + size > list->text_capacity) {
        size_t capacity = (list->text_size + size) * 2;
        char *text = cl_grow(list->text, capacity, 1);
        if (!text) return cl_fail_memory(error, "the list of pictures", capacity);
        list->text = text;
        list->text_capacity = capacity;
    }
    if (list->count == list->capacity) {
        int64_t capacity = list->capacity * 2 + 1024;
        size_t *offsets = cl_grow(list->offsets, (size_t)capacity, sizeof *offsets);
        if (!offsets) return cl_fail_memory(error, "the list of pictures", (size_t)capacity * sizeof *offsets);
        list->offsets = offsets;
        list->capacity = capacity;
    }
    list->offsets[list->count++] = list->text_size;
    memcpy(list->text + list->text_size, path, size);
    list->text_size += size;
    return COULIS_OK;
}

static int by_path(const void *a, const void *b, void *text) {
    return strcmp((const char *)text + *(const size_t *)a, (const char *)text + *(const size_t *)b);
}

/* Every regular file below `folder`. */
static coulis_status append_folder(cl_list *list, const char *folder, coulis_error *error) {
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') length--;
    char *root = cl_alloc_zero(length + 1, 1);
    if (!root) return cl_fail_memory(error, "a path", length + 1);
    memcpy(root, folder, length);
    char *const roots[] = {root, NULL};
    int64_t first = list->count;
    coulis_status status = COULIS_OK;
    /* Logical: links are followed, and a link back to a folder above is told apart (FTS_DC). */
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    if (!tree) status = cl_fail(error, COULIS_IO, "%s: cannot be listed: %s", folder, strerror(errno));
    while (status == COULIS_OK) {
        errno = 0;
        FTSENT *entry = fts_read(tree);
        if (!entry) {
            if (errno) status = cl_fail(error, COULIS_IO, "%s: cannot be listed: %s", folder, strerror(errno));
            break;
        }
        bool hidden = entry->fts_level > FTS_ROOTLEVEL && entry->fts_name[0] == '.';
        bool output = list->has_output && entry->fts_info == FTS_D &&
                      entry->fts_statp->st_dev == list->output.st_dev &&
                      entry->fts_statp->st_ino == list->output.st_ino;
        if (hidden || output) {
            fts_set(tree, entry, FTS_SKIP);
            continue;
        }
        switch (entry->fts_info) {
        case FTS_F:
        case FTS_SLNONE: /* a link to nothing: its row will say so */
        case FTS_NS: status = append(list, entry->fts_path, error); break;
        case FTS_DNR:
        case FTS_ERR:
            status = cl_fail(error, COULIS_IO, "%s: folder cannot be read: %s", entry->fts_path,
                             strerror(entry->fts_errno));
            break;
        default: break; /* folders, and devices, pipes and sockets, which are no pictures */
        }
    }
    if (tree) fts_close(tree);
    cl_free(root);
    if (status == COULIS_OK && list->count == first)
        return cl_fail(error, COULIS_MISSING, "%s: no files in this folder", folder);
    if (status == COULIS_OK)
        qsort_r(list->offsets + first, (size_t)(list->count - first), sizeof *list->offsets, by_path, list->text);
    return status;
}

static coulis_status append_lines(cl_list *list, const char *path, coulis_error *error) {
    FILE *file = fopen(path, "r");
    if (!file) return cl_fail(error, errno == ENOENT ? COULIS_MISSING : COULIS_IO, "%s: list cannot be opened: %s",
                              path, strerror(errno));
    coulis_status status = COULIS_OK;
    int64_t first = list->count;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while (status == COULIS_OK && (length = getline(&line, &capacity, file)) >= 0) {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) line[--length] = '\0';
        if (strlen(line) != (size_t)length)
            status = cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: not a list of paths (a zero byte in line %lld)", path,
                             (long long)(list->count - first + 1));
        else if (length > 0) status = append(list, line, error);
    }
    if (status == COULIS_OK && ferror(file))
        status = cl_fail(error, COULIS_IO, "%s: list cannot be read: %s", path, strerror(errno));
    free(line);
    fclose(file);
    if (status == COULIS_OK && list->count == first)
        return cl_fail(error, COULIS_MISSING, "%s: no paths in this list", path);
    return status;
}

static coulis_status append_argument(cl_list *list, const char *path, coulis_error *error) {
    struct stat info;
    if (!path || !*path) return cl_fail(error, COULIS_INVALID_ARGUMENT, "an empty path was given");
    if (path[0] == '@') return append_lines(list, path + 1, error);
    if (stat(path, &info) != 0)
        return cl_fail(error, errno == ENOENT || errno == ENOTDIR ? COULIS_MISSING : COULIS_IO, "%s: %s", path,
                       errno == ENOENT || errno == ENOTDIR ? "no such file or folder" : strerror(errno));
    return S_ISDIR(info.st_mode) ? append_folder(list, path, error) : append(list, path, error);
}

coulis_status cl_list_create(const char *const *paths, int64_t count, const char *output, cl_list **out,
                             coulis_error *error) {
    if (count < 1 || !paths) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no pictures given");
    cl_list *list = cl_alloc_zero(1, sizeof *list);
    if (!list) return cl_fail_memory(error, "the list of pictures", sizeof *list);
    list->has_output = stat(output, &list->output) == 0;
    coulis_status status = COULIS_OK;
    for (int64_t i = 0; status == COULIS_OK && i < count; i++) status = append_argument(list, paths[i], error);
    if (status != COULIS_OK) {
        cl_list_free(list);
        return status;
    }
    cl_sha256 hash;
    cl_sha256_begin(&hash);
    for (int64_t i = 0; i < list->count; i++) {
        const char *path = cl_list_path(list, i);
        cl_sha256_add(&hash, path, strlen(path) + 1);
    }
    cl_sha256_end(&hash, list->sha256);
    *out = list;
    return COULIS_OK;
}

void cl_list_free(cl_list *list) {
    if (!list) return;
    cl_free(list->text);
    cl_free(list->offsets);
    cl_free(list);
}

int64_t cl_list_count(const cl_list *list) { return list->count; }
const char *cl_list_path(const cl_list *list, int64_t i) { return list->text + list->offsets[i]; }
const char *cl_list_sha256(const cl_list *list) { return list->sha256; }

const char *cl_label_of(const char *path, size_t *length) {
    const char *end = strrchr(path, '/');
    *length = 0;
    if (!end) return path;
    const char *start = end;
    while (start > path && start[-1] != '/') start--;
    *length = (size_t)(end - start);
    return start;
}
