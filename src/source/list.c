#include "source/list.h"

#include <stdlib.h>

/* Room for `size` more bytes of text and one more entry. */
static coulis_status make_room(cl_list *list, size_t size, coulis_error *error) {
    if (list->text_size + size > list->text_capacity) {
        size_t capacity = (list->text_size + size) * 2;
        char *text = cl_grow(list->text, capacity, 1);
        if (!text) return cl_fail_memory(error, "the list of images", capacity);
        list->text = text;
        list->text_capacity = capacity;
    }
    if (list->count == list->capacity) {
        int64_t capacity = list->capacity * 2 + 256;
        cl_entry *entries = cl_grow(list->entries, (size_t)capacity, sizeof *entries);
        if (!entries) return cl_fail_memory(error, "the list of images", (size_t)capacity * sizeof *entries);
        list->entries = entries;
        list->capacity = capacity;
    }
    return COULIS_OK;
}

coulis_status cl_list_append(cl_list *list, const char *name, size_t length, const char *const *fields, cl_entry entry,
                             coulis_error *error) {
    size_t size = length + 1;
    for (int i = 0; i < entry.fields; i++) size += fields[i] ? strlen(fields[i]) + 2 : 1;
    coulis_status status = make_room(list, size, error);
    if (status) return status;
    entry.text = list->text_size;
    char *to = list->text + list->text_size;
    memcpy(to, name, length);
    to[length] = '\0';
    to += length + 1;
    for (int i = 0; i < entry.fields; i++) { /* 1 and the text, or 0 for none */
        *to++ = fields[i] != NULL;
        if (!fields[i]) continue;
        size_t bytes = strlen(fields[i]) + 1;
        memcpy(to, fields[i], bytes);
        to += bytes;
    }
    list->text_size += size;
    list->entries[list->count++] = entry;
    return COULIS_OK;
}

void cl_list_fields(const cl_list *list, int64_t i, const char **fields) {
    const char *at = cl_list_name(list, i);
    at += strlen(at) + 1;
    for (int f = 0; f < list->entries[i].fields; f++) {
        fields[f] = *at++ ? at : NULL;
        if (fields[f]) at += strlen(at) + 1;
    }
}

static int by_name(const void *a, const void *b, void *text) {
    return strcmp((const char *)text + ((const cl_entry *)a)->text, (const char *)text + ((const cl_entry *)b)->text);
}

void cl_list_sort(cl_list *list, int64_t first) {
    if (list->count - first > 1)
        qsort_r(list->entries + first, (size_t)(list->count - first), sizeof *list->entries, by_name, list->text);
}

void cl_list_release(cl_list *list) {
    cl_free(list->text);
    cl_free(list->entries);
    *list = (cl_list){0};
}
