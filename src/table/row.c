#include <string.h>

#include "base/memory.h"
#include "table/part.h"

static const char *put(char **to, const char *text) {
    if (!text) return NULL;
    size_t size = strlen(text) + 1;
    char *start = memcpy(*to, text, size);
    *to += size;
    return start;
}

static size_t size_of(const char *text) { return text ? strlen(text) + 1 : 0; }

char *cl_row_copy(const cl_row *row, cl_row *copy) {
    size_t size = size_of(row->path) + size_of(row->label) + size_of(row->error) + size_of(row->sha256);
    char *texts = cl_alloc(size, 1), *to = texts;
    if (!texts) return NULL;
    *copy = *row;
    copy->path = put(&to, row->path);
    copy->label = put(&to, row->label);
    copy->error = put(&to, row->error);
    copy->sha256 = put(&to, row->sha256);
    return texts;
}
