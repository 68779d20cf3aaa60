#include "collection/collection.h"

#include "base/disk.h"
#include "pipeline/fetched.h"
#include "pipeline/output.h"

/* Texts of rows, many to an allocation. */
#define ARENA_BYTES ((size_t)1 << 20)

struct cl_arena {
    cl_arena *before;
    size_t used, size;
    char bytes[];
};

/* A copy of `text` (NULL stays NULL); false when memory is short. */
static bool keep(cl_arena **arena, const char *text, const char **copy) {
    *copy = NULL;
    if (!text) return true;
    const size_t size = strlen(text) + 1;
    if (!*arena || (*arena)->size - (*arena)->used < size) {
        const size_t room = size > ARENA_BYTES ? size : ARENA_BYTES;
        cl_arena *made = cl_alloc(sizeof *made + room, 1);
        if (!made) return false;
        made->before = *arena;
        made->used = 0;
        made->size = room;
        *arena = made;
    }
    char *to = (*arena)->bytes + (*arena)->used;
    memcpy(to, text, size);
    (*arena)->used += size;
    *copy = to;
    return true;
}

coulis_status cl_collection_names(const cl_collection *c, const char *output, const char ***path, const char ***label,
                                  coulis_error *error) {
    const size_t rows = (size_t)c->vectors.rows;
    *path = cl_alloc(rows, sizeof **path);
    *label = cl_alloc(rows, sizeof **label);
    if (!*path || !*label) return cl_fail_memory(error, output, rows * 2 * sizeof **path);
    for (size_t i = 0; i < rows; i++) {
        (*path)[i] = c->items[c->row_of[i]].path;
        (*label)[i] = c->items[c->row_of[i]].label;
    }
    return COULIS_OK;
}

void cl_collection_close(cl_collection *c) {
    cl_table_close(c->table);
    for (cl_arena *arena = c->texts, *before; arena; arena = before) {
        before = arena->before;
        cl_free(arena);
    }
    cl_free(c->items);
    cl_free(c->row_of);
    cl_free(c->x);
    cl_free(c->squares);
    cl_stand_in_end(&c->in, COULIS_OK, NULL);
    *c = (cl_collection){0};
}

static bool keep_row(cl_collection *c, const cl_row *row, cl_item *item) {
    *item = (cl_item){.status = row->status,
                      .width = row->width,
                      .height = row->height,
                      .vector = -1,
                      .bytes = row->file.has_bytes ? row->file.bytes : 0};
    return keep(&c->texts, row->path, &item->path) && keep(&c->texts, row->label, &item->label) &&
           keep(&c->texts, row->error, &item->error) && keep(&c->texts, row->sha256, &item->sha256);
}

/* Reads the rows, all but their vectors. */
static coulis_status read_rows(cl_collection *c, coulis_error *error) {
    int64_t at = 0, vector = 0;
    for (int32_t p = 0; p < cl_table_parts(c->table); p++) {
        cl_part_reader *part = cl_table_part(c->table, p);
        for (int32_t g = 0; g < cl_part_reader_row_groups(part); g++) {
            const cl_row *rows;
            int64_t count;
            coulis_status status = cl_part_reader_read(part, g, 0, &rows, &count, error);
            if (status) return status;
            if (count > c->rows - at)
                return cl_fail(error, COULIS_BAD_DATA, "%s: the table changed while it was read", c->folder);
            for (int64_t i = 0; i < count; i++, at++) {
                if (!keep_row(c, &rows[i], &c->items[at])) return cl_fail_memory(error, c->folder, ARENA_BYTES);
                if (rows[i].status != COULIS_OK || vector == c->vectors.rows) continue;
                c->items[at].vector = vector;
                c->row_of[vector++] = at;
            }
        }
    }
    if (at != c->rows || vector != c->vectors.rows)
        return cl_fail(error, COULIS_BAD_DATA, "%s: the table changed while it was read", c->folder);
    return COULIS_OK;
}

static coulis_status open_table(cl_collection *c, const char *column, coulis_error *error) {
    const bool features = strcmp(column, "features") == 0;
    char *below = cl_format("%s/%s", c->place, features ? "features" : "reduced");
    if (!below) return cl_fail_memory(error, c->folder, strlen(c->folder));
    char *reduced = cl_format("%s/reduced", c->place);
    coulis_status status;
    if (!reduced) status = cl_fail_memory(error, c->folder, strlen(c->folder));
    else if (!cl_path_exists(c->place)) status = cl_fail(error, COULIS_MISSING, "%s: not found", c->folder);
    else if (features && !cl_path_exists(below) && cl_path_exists(reduced))
        status = cl_fail(error, COULIS_MISSING,
                         "%s: has no vectors, only reduced ones (it was made with --drop-features; run without it)",
                         c->folder);
    else status = cl_table_open(cl_path_exists(below) ? below : c->place, column, &c->table, error);
    cl_free(below);
    cl_free(reduced);
    return status;
}

coulis_status cl_collection_open(const char *folder, const char *column, cl_collection *collection,
                                 coulis_error *error) {
    cl_collection c = {.folder = folder};
    coulis_status status = cl_fetch_result(folder, &c.in, error);
    c.place = c.in.path;
    if (!status) status = open_table(&c, column, error);
    if (status) return cl_stand_in_end(&c.in, status, error);
    c.rows = cl_table_rows(c.table);
    c.vectors.rows = cl_table_vectors(c.table);
    c.vectors.cols = cl_table_length(c.table);
    c.items = cl_alloc((size_t)c.rows, sizeof *c.items);
    c.row_of = cl_alloc((size_t)c.vectors.rows, sizeof *c.row_of);
    if (!c.items || !c.row_of) status = cl_fail_memory(error, folder, (size_t)c.rows * sizeof *c.items);
    if (!status) status = read_rows(&c, error);
    if (!status && c.vectors.rows == 0)
        status = cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: none of its %lld rows has a vector", folder,
                         (long long)c.rows);
    if (!status && c.vectors.cols > CL_VECTOR_LENGTH_MAX)
        status = cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: vectors of %lld dimensions are too long to compare",
                         folder, (long long)c.vectors.cols);
    if (status && c.in.own) cl_error_rename(error, c.in.own, folder);
    if (status) cl_collection_close(&c);
    else *collection = c;
    return status;
}

coulis_status cl_collection_read(const cl_collection *collection, int64_t first, int64_t count, float *out,
                                 coulis_error *error) {
    const cl_rows source = cl_table_vectors_source(collection->table);
    return source.read(source.context, first, count, out, error);
}

coulis_status cl_collection_load(cl_collection *c, cl_pool *pool, coulis_error *error) {
    const size_t rows = (size_t)c->vectors.rows;
    c->x = cl_alloc(rows, (size_t)c->vectors.cols * sizeof *c->x);
    c->squares = cl_alloc(rows, sizeof *c->squares);
    if (!c->x || !c->squares)
        return cl_fail(error, COULIS_NO_MEMORY, "%s: out of memory for %lld vectors of %lld dimensions", c->folder,
                       (long long)c->vectors.rows, (long long)c->vectors.cols);
    coulis_status status = cl_collection_read(c, 0, c->vectors.rows, c->x, error);
    c->vectors.x = c->x;
    c->vectors.squares = c->squares;
    if (!status) status = cl_squares(c->x, c->vectors.rows, c->vectors.cols, 0, pool, c->squares, error);
    return status;
}
