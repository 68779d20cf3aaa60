/* Which folder of a path is the label. */
#pragma once

#include "base/base.h"

typedef struct cl_label_rule {
    int32_t none;
    int64_t level; /* 1: the first folder below the PATH; -1: the parent; 0: the PATH itself */
} cl_label_rule;

/* "parent" (NULL too), "first", "none" or a whole number; COULIS_INVALID_ARGUMENT for another word. */
coulis_status cl_label_rule_read(const char *text, cl_label_rule *rule, coulis_error *error);

/* The folder of `path` that the rule names: *length bytes from the pointer returned, which is within `path`; length 0
 * when there is none. `root` bytes of it are the PATH given, without a slash at the end; 0: folders are counted from
 * the start. */
const char *cl_label_of(const cl_label_rule *rule, const char *path, size_t root, size_t *length);
