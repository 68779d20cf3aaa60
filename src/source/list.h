/* What was named, in order: images, folders that could not be read, and files that hold many images. */
#pragma once

#include "base/base.h"

#define CL_NO_TIME INT64_MIN

typedef enum cl_entry_kind {
    CL_ENTRY_IMAGE = 0, /* a file or an object, read by its name */
    CL_ENTRY_FAULT = 1, /* a folder that cannot be read: a row that says so */
    CL_ENTRY_MANY = 2   /* an archive or a table: its images come when it is its turn */
} cl_entry_kind;

typedef struct cl_entry {
    size_t text;       /* where in the list's text its name begins; its fields follow */
    int64_t bytes;     /* -1: unknown */
    int64_t modified;  /* microseconds since 1970, or CL_NO_TIME */
    uint32_t argument; /* which of the PATHs it comes from */
    uint16_t kind;     /* cl_entry_kind */
    uint16_t fields;   /* texts after the name */
} cl_entry;

typedef struct cl_list {
    char *text;
    size_t text_size, text_capacity;
    cl_entry *entries;
    int64_t count, capacity;
} cl_list;

/* Appends an entry with `entry.fields` texts, any of which may be NULL. `name` has `length` bytes. */
coulis_status cl_list_append(cl_list *list, const char *name, size_t length, const char *const *fields, cl_entry entry,
                             coulis_error *error);

static inline const char *cl_list_name(const cl_list *list, int64_t i) { return list->text + list->entries[i].text; }

/* The texts of entry `i` after its name; room for entries[i].fields. */
void cl_list_fields(const cl_list *list, int64_t i, const char **fields);

/* Sorts the entries from `first` on by the bytes of their names. */
void cl_list_sort(cl_list *list, int64_t first);

void cl_list_release(cl_list *list);
