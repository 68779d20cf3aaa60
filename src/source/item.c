#include "source/item.h"

coulis_status cl_item_own_texts(coulis_item *item, int64_t column_count, coulis_error *error) {
    const int64_t columns = item->values ? column_count : 0;
    size_t table = (size_t)columns * sizeof(char *), size = table + strlen(item->name) + 1;
    size += item->label ? strlen(item->label) + 1 : 0;
    for (int64_t i = 0; i < columns; i++) size += item->values[i] ? strlen(item->values[i]) + 1 : 0;
    const char **values = cl_alloc(size, 1);
    if (!values) return cl_fail_memory(error, item->name, size);
    char *to = (char *)values + table;
    const char *name = to;
    to = stpcpy(to, item->name) + 1;
    if (item->label) {
        const char *label = to;
        to = stpcpy(to, item->label) + 1;
        item->label = label;
    }
    for (int64_t i = 0; i < columns; i++) {
        values[i] = item->values[i] ? to : NULL;
        if (item->values[i]) to = stpcpy(to, item->values[i]) + 1;
    }
    item->name = name;
    item->values = columns > 0 ? values : NULL;
    return COULIS_OK;
}

void cl_item_free_texts(coulis_item *item) {
    union {
        const void *given;
        void *wanted;
    } memory = {item->values ? (const void *)item->values : item->name};
    cl_free(memory.wanted);
    *item = (coulis_item){0};
}
