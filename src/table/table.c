#include "table/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/files.h"

/* A row group that has vectors. */
typedef struct group {
    int32_t part, number;
    int64_t first; /* vectors in the groups before it */
} group;

struct cl_table {
    cl_part_reader **parts;
    int32_t part_count, current_part; /* the one whose file is open, -1 for none */
    group *groups;
    int64_t group_count, rows, vectors, length;
    /* The row group whose vectors were read last, and the first of them; -1 for none. */
    int64_t current_group;
    const float *current_vectors;
};

/* Names of files. */
typedef struct names {
    char **all;
    size_t count;
} names;

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void free_names(names *n) {
    for (size_t i = 0; i < n->count; i++) cl_free(n->all[i]);
    cl_free(n->all);
    *n = (names){0};
}

/* Takes over `path`. */
static coulis_status add_name(names *n, char *path, coulis_error *error) {
    char **grown = path ? cl_grow(n->all, n->count + 1, sizeof *grown) : NULL;
    if (!grown) {
        cl_free(path);
        return cl_fail_memory(error, "names of parts", (n->count + 1) * sizeof *grown);
    }
    n->all = grown;
    n->all[n->count++] = path;
    return COULIS_OK;
}

/* The N of part-N.parquet, -1 when the name is of another kind. */
static int32_t part_number(const char *name) {
    if (strncmp(name, "part-", 5) != 0) return -1;
    long number = strtol(name + 5, NULL, 10);
    if (number < 0 || number >= INT32_MAX) return -1;
    char expected[32];
    snprintf(expected, sizeof expected, "part-%05ld.parquet", number);
    return strcmp(expected, name) == 0 ? (int32_t)number : -1;
}

static int32_t number_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return part_number(slash ? slash + 1 : path);
}

static int compare_parts(const void *a, const void *b) {
    const int32_t x = number_of(*(char *const *)a), y = number_of(*(char *const *)b);
    return (x > y) - (x < y);
}

/* Whether another program's file is one of its table: Spark's notes begin with _ or a dot. */
static bool is_parquet(const char *name) {
    const size_t length = strlen(name);
    return length > 8 && strcmp(name + length - 8, ".parquet") == 0 && name[0] != '.' && name[0] != '_';
}

/* Lists the parts of ours, and the files that may be parts of another program's table. */
static coulis_status list_folder(const char *folder, names *ours, names *others, coulis_error *error) {
    cl_listing *listing = cl_listing_open(folder);
    if (!listing && errno == ENOTDIR) return add_name(others, cl_strdup(folder), error);
    if (!listing)
        return cl_fail(error, errno == ENOENT ? COULIS_MISSING : COULIS_IO, "cannot read the folder '%s': %s", folder,
                       strerror(errno));
    coulis_status status = COULIS_OK;
    for (const char *name; !status && (name = cl_next_name(listing, folder, &status, error));) {
        const bool own = part_number(name) >= 0;
        if (own || is_parquet(name)) status = add_name(own ? ours : others, cl_format("%s/%s", folder, name), error);
    }
    cl_listing_close(listing);
    return status;
}

/* The files of a table in their order; of ours none may be lacking. */
static coulis_status find_parts(const char *folder, names *parts, coulis_error *error) {
    names others = {0};
    coulis_status status = list_folder(folder, parts, &others, error);
    if (!status && parts->count == 0) {
        *parts = others;
        others = (names){0};
        if (parts->count) qsort(parts->all, parts->count, sizeof *parts->all, compare_names);
        else
            status = cl_fail(error, COULIS_BAD_DATA, "'%s' holds no part-00000.parquet, nor any other .parquet file",
                             folder);
    } else if (!status) {
        qsort(parts->all, parts->count, sizeof *parts->all, compare_parts);
        for (size_t i = 0; i < parts->count && !status; i++)
            if (number_of(parts->all[i]) != (int32_t)i)
                status = cl_fail(error, COULIS_BAD_DATA,
                                 "'%s' lacks part-%05zu.parquet though it has part-%05d.parquet", folder, i,
                                 number_of(parts->all[i]));
    }
    free_names(&others);
    return status;
}

/* Opens one part and enters its row groups. */
static coulis_status add_part(cl_table *table, const char *path, const char *column, coulis_error *error) {
    cl_part_reader *reader;
    coulis_status status = cl_part_reader_open_any(path, column, &reader, error);
    if (status) return status;
    int32_t part = table->part_count++;
    table->parts[part] = reader;
    int64_t length = cl_part_reader_length(reader);
    if (length && table->length && length != table->length)
        return cl_fail(error, COULIS_BAD_DATA, "'%s' has vectors of %lld dimensions, the parts before it of %lld", path,
                       (long long)length, (long long)table->length);
    if (length) table->length = length;
    int32_t groups = cl_part_reader_row_groups(reader);
    group *grown = cl_grow(table->groups, (size_t)(table->group_count + groups), sizeof *grown);
    if (!grown) return cl_fail_memory(error, path, (size_t)(table->group_count + groups) * sizeof *grown);
    table->groups = grown;
    for (int32_t i = 0; i < groups && !status; i++) {
        const cl_row *rows;
        int64_t count, vectors = 0;
        status = cl_part_reader_read(reader, i, 0, &rows, &count, error);
        for (int64_t r = 0; r < count && !status; r++) vectors += rows[r].status == COULIS_OK;
        if (!status && vectors) table->groups[table->group_count++] = (group){part, i, table->vectors};
        if (!status) table->vectors += vectors;
    }
    table->rows += cl_part_reader_rows(reader);
    cl_part_reader_rest(reader);
    return status;
}

coulis_status cl_table_open(const char *folder, const char *column, cl_table **table, coulis_error *error) {
    names parts = {0};
    coulis_status status = find_parts(folder, &parts, error);
    cl_table *made = status ? NULL : cl_alloc_zero(1, sizeof *made);
    if (made) *made = (cl_table){.current_part = -1, .current_group = -1};
    if (made) made->parts = cl_alloc_zero(parts.count, sizeof *made->parts);
    if (!status && (!made || !made->parts)) status = cl_fail_memory(error, folder, parts.count * sizeof *made->parts);
    for (size_t i = 0; i < parts.count && !status; i++) status = add_part(made, parts.all[i], column, error);
    free_names(&parts);
    if (status) cl_table_close(made);
    else *table = made;
    return status;
}

void cl_table_close(cl_table *table) {
    if (!table) return;
    for (int32_t i = 0; i < table->part_count; i++) cl_part_reader_close(table->parts[i]);
    cl_free(table->parts);
    cl_free(table->groups);
    cl_free(table);
}

int32_t cl_table_parts(const cl_table *table) { return table->part_count; }
int64_t cl_table_rows(const cl_table *table) { return table->rows; }
int64_t cl_table_vectors(const cl_table *table) { return table->vectors; }
int64_t cl_table_length(const cl_table *table) { return table->length; }
const char *cl_table_recipe(const cl_table *table) { return cl_part_reader_recipe(table->parts[0]); }

cl_part_reader *cl_table_part(cl_table *table, int32_t part) {
    if (table->current_part >= 0 && table->current_part != part) cl_part_reader_rest(table->parts[table->current_part]);
    table->current_part = part;
    table->current_group = -1; /* the caller may read another row group */
    return table->parts[part];
}

/* Has the vectors of a row group in memory. */
static coulis_status load_group(cl_table *table, int64_t number, coulis_error *error) {
    if (table->current_group == number) return COULIS_OK;
    const group *wanted = &table->groups[number];
    const cl_row *rows;
    int64_t count, vectors = 0;
    int64_t end = number + 1 < table->group_count ? wanted[1].first : table->vectors;
    cl_part_reader *reader = cl_table_part(table, wanted->part);
    coulis_status status = cl_part_reader_read(reader, wanted->number, 1, &rows, &count, error);
    if (status) return status;
    table->current_vectors = NULL;
    for (int64_t i = 0; i < count; i++)
        if (rows[i].vector && vectors++ == 0) table->current_vectors = rows[i].vector;
    if (vectors != end - wanted->first)
        return cl_fail(error, COULIS_BAD_DATA, "the table's part %d changed while it was read", wanted->part);
    table->current_group = number;
    return COULIS_OK;
}

/* The last group that begins with or before the given vector. */
static int64_t group_of_vector(const cl_table *table, int64_t vector) {
    int64_t low = 0, high = table->group_count;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (table->groups[middle].first <= vector) low = middle;
        else high = middle;
    }
    return low;
}

static coulis_status read_vectors(void *context, int64_t first, int64_t count, float *out, coulis_error *error) {
    cl_table *table = context;
    while (count > 0) {
        int64_t number = group_of_vector(table, first);
        int64_t end = number + 1 < table->group_count ? table->groups[number + 1].first : table->vectors;
        coulis_status status = load_group(table, number, error);
        if (status) return status;
        /* The reader lays the vectors of a row group one after the other. */
        int64_t taken = end - first < count ? end - first : count;
        memcpy(out, table->current_vectors + (first - table->groups[number].first) * table->length,
               (size_t)(taken * table->length) * sizeof *out);
        first += taken;
        count -= taken;
        out += taken * table->length;
    }
    return COULIS_OK;
}

cl_rows cl_table_vectors_source(cl_table *table) {
    return (cl_rows){.context = table, .rows = table->vectors, .cols = table->length, .read = read_vectors};
}
