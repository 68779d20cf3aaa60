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
    const size_t table = row->extra ? (size_t)row->extra_count * sizeof(char *) : 0;
    for (int32_t i = 0; row->extra && i < row->extra_count; i++) size += size_of(row->extra[i]);
    const char **extra = cl_alloc(table + size, 1);
    char *texts = (char *)extra, *to = texts + table;
    if (!texts) return NULL;
    *copy = *row;
    copy->extra = row->extra ? extra : NULL;
    for (int32_t i = 0; row->extra && i < row->extra_count; i++) extra[i] = put(&to, row->extra[i]);
    copy->path = put(&to, row->path);
    copy->label = put(&to, row->label);
    copy->error = put(&to, row->error);
    copy->sha256 = put(&to, row->sha256);
    return texts;
}
