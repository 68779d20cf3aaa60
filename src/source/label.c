#include "source/label.h"

#include <errno.h>
#include <stdlib.h>

coulis_status cl_label_rule_read(const char *text, cl_label_rule *rule, coulis_error *error) {
    *rule = (cl_label_rule){.level = -1};
    if (!text || strcmp(text, "parent") == 0) return COULIS_OK;
    if (strcmp(text, "none") == 0) rule->none = 1;
    else if (strcmp(text, "first") == 0) rule->level = 1;
    else {
        char *end;
        errno = 0;
        rule->level = strtoll(text, &end, 10);
        if (end == text || *end || errno || rule->level < -1000 || rule->level > 1000)
            return cl_fail(error, COULIS_INVALID_ARGUMENT,
                           "label must be parent, first, none or the number of a level, not '%s'", text);
    }
    return COULIS_OK;
}

/* The last name of the first `root` bytes. */
static const char *root_name(const char *path, size_t root, size_t *length) {
    size_t start = root;
    while (start > 0 && path[start - 1] != '/') start--;
    *length = root - start;
    return path + start;
}

const char *cl_label_of(const cl_label_rule *rule, const char *path, size_t root, size_t *length) {
    *length = 0;
    if (rule->none) return path;
    const char *below = path + root;
    if (*below == '/') below++;
    int64_t folders = 0;
    for (const char *at = below; *at; at++) folders += *at == '/';
    int64_t level = rule->level < 0 ? folders + 1 + rule->level : rule->level;
    if (level == 0) return root_name(path, root, length);
    if (level < 0 || level > folders) return path;
    const char *folder = below;
    while (--level > 0) folder = strchr(folder, '/') + 1;
    *length = strcspn(folder, "/");
    return folder;
}
