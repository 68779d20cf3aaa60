#include "pipeline/making.h"

#include <errno.h>

#include "base/disk.h"
#include "base/files.h"
#include "pipeline/clock.h"

/* So much work is lost at most when the process is killed. A piece costs a flush of the disk, which takes some
 * milliseconds. */
#define KEEP_SECONDS 3.0
/* From so many rows in turn on that are carried over, these get a piece of their own, without their vectors. */
#define CARRIED_ROWS 256

struct cl_making {
    cl_making_plan plan;
    cl_part_writer *writer;
    int64_t written; /* rows in the row groups that the writer has */
    int64_t count;   /* rows of the row group in the making */
    int64_t kept;    /* so many of those are in a piece */
    int64_t pieces;
    double kept_at;
    cl_row *rows;     /* group_rows */
    char **texts;     /* of each row */
    float *vectors;   /* of each row */
    int64_t fetched;  /* so many rows have their vectors; of the others some are to be fetched: */
    int64_t *carried; /* which earlier row each of them has, -1 for none */
    float **places;   /* memory for the list of them */
    int64_t *wanted;
};

static char *piece_path(const char *folder, int64_t part, int64_t piece) {
    return cl_format("%s/.part-%05lld.piece-%05lld.parquet", folder, (long long)part, (long long)piece);
}

/* What stands in a piece as its recipe: so a piece of another run is not taken for the one that comes next. */
static char *piece_recipe(const cl_making_plan *plan, int64_t first, bool carried) {
    return cl_format("%lld of %lld%s %s", (long long)first, (long long)plan->rows, carried ? " carried" : "",
                     plan->recipe);
}

static coulis_status no_memory(coulis_error *error) { return cl_fail_memory(error, "a path", 0); }

/* Removes the pieces from number `first` on. */
static coulis_status forget_from(const char *folder, int64_t part, int64_t first, coulis_error *error) {
    coulis_status status = COULIS_OK;
    int64_t count = first;
    for (bool there = true; there && !status;) {
        char *path = piece_path(folder, part, count);
        if (!path) return no_memory(error);
        there = cl_path_exists(path);
        count += there;
        cl_free(path);
    }
    while (count > first && !status) {
        char *path = piece_path(folder, part, --count);
        if (!path) return no_memory(error);
        status = cl_remove(path, error);
        cl_free(path);
    }
    return status;
}

coulis_status cl_making_forget(const char *folder, int64_t part, coulis_error *error) {
    return forget_from(folder, part, 0, error);
}

/* Whether a piece says that it has the rows from `first` on; *carried: without their vectors. */
static bool is_next(const cl_making_plan *plan, const cl_part_reader *reader, int64_t first, const char *recipe,
                    const char *carried_recipe, bool *carried) {
    const char *has = cl_part_reader_recipe(reader);
    const int64_t rows = cl_part_reader_rows(reader), length = cl_part_reader_length(reader);
    *carried = has && plan->earlier && strcmp(has, carried_recipe) == 0;
    return has && (*carried || strcmp(has, recipe) == 0) && rows >= 1 && rows <= plan->rows - first &&
           (length == 0 || length == plan->length);
}

/* Opens piece `number`, which must hold the rows from `first` on; NULL in *reader when there is none that does. */
static coulis_status open_piece(const cl_making_plan *plan, int64_t number, int64_t first, cl_part_reader **reader,
                                bool *carried, coulis_error *error) {
    *reader = NULL;
    char *path = piece_path(plan->folder, plan->part, number);
    char *recipe = piece_recipe(plan, first, false), *carried_recipe = piece_recipe(plan, first, true);
    coulis_status status = path && recipe && carried_recipe ? COULIS_OK : no_memory(error);
    if (!status) status = cl_part_reader_open(path, plan->column, reader, error);
    if (status) *reader = NULL;
    if (status == COULIS_MISSING || status == COULIS_BAD_DATA) status = COULIS_OK;
    if (!status && *reader && !is_next(plan, *reader, first, recipe, carried_recipe, carried)) {
        cl_part_reader_close(*reader);
        *reader = NULL;
    }
    cl_free(path);
    cl_free(recipe);
    cl_free(carried_recipe);
    return status;
}

/* The earlier row whose vector a row of a piece has, by the hash of their bytes; -1: none. */
static int64_t earlier_row(const cl_making_plan *plan, const cl_row *row, bool carried) {
    return carried && row->status == COULIS_OK && row->sha256 ? cl_earlier_with_bytes(plan->earlier, row->sha256) : -1;
}

/* Whether every row of a piece, the first of which is row `row` of the part, can be read and is of an image as it is
 * now, and has its vector here or in the earlier result. */
static coulis_status check_piece(const cl_making_plan *plan, cl_part_reader *reader, bool carried, int64_t row,
                                 bool *good, coulis_error *error) {
    coulis_status status = COULIS_OK;
    bool current = true;
    for (int32_t group = 0; !status && group < cl_part_reader_row_groups(reader); group++) {
        const cl_row *rows;
        int64_t count;
        status = cl_part_reader_read(reader, group, !carried, &rows, &count, error);
        for (int64_t i = 0; !status && current && i < count; i++, row++) {
            current = !plan->is_current || plan->is_current(plan->context, plan->part, row, &rows[i]);
            if (current && carried) current = earlier_row(plan, &rows[i], true) >= 0;
        }
    }
    *good = !status && current;
    return status == COULIS_BAD_DATA ? COULIS_OK : status;
}

coulis_status cl_making_kept(const cl_making_plan *plan, int64_t *rows, coulis_error *error) {
    *rows = 0;
    for (int64_t number = 0; *rows < plan->rows; number++) {
        cl_part_reader *reader;
        bool good = false, carried;
        coulis_status status = open_piece(plan, number, *rows, &reader, &carried, error);
        if (status) return status;
        if (reader) status = check_piece(plan, reader, carried, *rows, &good, error);
        if (good) *rows += cl_part_reader_rows(reader);
        cl_part_reader_close(reader);
        if (status) return status;
        if (!good) return forget_from(plan->folder, plan->part, number, error);
    }
    return COULIS_OK;
}

static void release(cl_making *making) {
    for (int64_t i = 0; making->texts && i < making->count; i++) cl_free(making->texts[i]);
    cl_free(making->texts);
    cl_free(making->rows);
    cl_free(making->vectors);
    cl_free(making->carried);
    cl_free(making->places);
    cl_free(making->wanted);
    cl_free(making);
}

void cl_making_abort(cl_making *making) {
    if (!making) return;
    cl_part_writer_abort(making->writer);
    release(making);
}

/* Fetches the vectors that are carried over, many at a time: in whatever order the images come now, each row group of
 * the earlier result is read once. */
static coulis_status fetch(cl_making *making, coulis_error *error) {
    int64_t count = 0;
    for (int64_t i = making->fetched; making->carried && i < making->count; i++) {
        if (making->carried[i] < 0) continue;
        making->wanted[count] = making->carried[i];
        making->places[count++] = making->vectors + i * making->plan.length;
    }
    making->fetched = making->count;
    if (count == 0) return COULIS_OK;
    return cl_earlier_vectors(making->plan.earlier, making->wanted, making->places, count, making->plan.length, error);
}

static coulis_status end_group(cl_making *making, coulis_error *error) {
    coulis_status status = fetch(making, error);
    if (!status) status = cl_part_writer_write(making->writer, making->rows, making->count, error);
    for (int64_t i = 0; i < making->count; i++) cl_free(making->texts[i]);
    making->written += making->count;
    making->count = making->kept = making->fetched = 0;
    return status;
}

/* Whether a row's vector can be found in the earlier result again, by those that go on. */
static bool is_carried(const cl_making *making, int64_t row) {
    return making->carried && making->carried[row] >= 0 && making->rows[row].sha256;
}

/* The end of the rows from `first` on that are carried over. */
static int64_t carried_end(const cl_making *making, int64_t first) {
    while (first < making->count && is_carried(making, first)) first++;
    return first;
}

/* The end of the next piece; *carried: its rows are all carried over, and many. */
static int64_t piece_end(const cl_making *making, bool *carried) {
    int64_t end = carried_end(making, making->kept);
    *carried = end - making->kept >= CARRIED_ROWS;
    while (!*carried && end < making->count) {
        const int64_t after = carried_end(making, end);
        if (after - end >= CARRIED_ROWS) break;
        end = after < making->count ? after + 1 : after;
    }
    return end;
}

/* Writes the next piece, of rows that are in memory. Vectors that stand in the earlier result are not written again. */
static coulis_status keep_piece(cl_making *making, coulis_error *error) {
    const cl_making_plan *plan = &making->plan;
    cl_part_writer *writer = NULL;
    bool carried;
    const int64_t end = piece_end(making, &carried);
    char *path = piece_path(plan->folder, plan->part, making->pieces);
    char *recipe = piece_recipe(plan, making->written + making->kept, carried);
    coulis_status status = !path || !recipe ? no_memory(error) : carried ? COULIS_OK : fetch(making, error);
    if (!status) status = cl_part_writer_open(path, plan->column, plan->length, recipe, &plan->extra, &writer, error);
    for (int64_t i = making->kept; carried && i < end; i++) making->rows[i].vector = NULL;
    if (!status) status = cl_part_writer_write(writer, making->rows + making->kept, end - making->kept, error);
    for (int64_t i = making->kept; carried && i < end; i++) making->rows[i].vector = making->vectors + i * plan->length;
    /* Rows that are carried over are soon carried over again. */
    if (!status && carried) cl_part_writer_flushing(writer, CL_FLUSH_NOTHING);
    if (!status) status = cl_part_writer_commit(writer, error);
    else cl_part_writer_abort(writer);
    cl_free(path);
    cl_free(recipe);
    if (status) return status;
    making->pieces++;
    making->kept = end;
    return COULIS_OK;
}

coulis_status cl_making_keep(cl_making *making, coulis_error *error) {
    coulis_status status = COULIS_OK;
    while (!status && making->kept < making->count) status = keep_piece(making, error);
    if (!status) making->kept_at = cl_seconds();
    return status;
}

/* Appends one row, and writes the row group when it is full. */
static coulis_status add_row(cl_making *making, const cl_row *row, int64_t carried, bool from_piece,
                             coulis_error *error) {
    const cl_making_plan *plan = &making->plan;
    const int64_t i = making->count;
    making->texts[i] = cl_row_copy(row, &making->rows[i]);
    if (!making->texts[i]) return cl_fail_memory(error, "a row", strlen(row->path));
    float *own = making->vectors + i * plan->length;
    if (row->vector) memcpy(own, row->vector, (size_t)plan->length * sizeof *own);
    if (row->vector || carried >= 0) making->rows[i].vector = own;
    if (making->carried) making->carried[i] = carried;
    making->count++;
    if (from_piece) making->kept = making->count;
    if (making->count < plan->group_rows) return COULIS_OK;
    /* The writer's rows are not in memory any more. Those of a part that is about to be whole need no piece. */
    coulis_status status = COULIS_OK;
    if (making->written + making->count < plan->rows) status = cl_making_keep(making, error);
    return status ? status : end_group(making, error);
}

coulis_status cl_making_add(cl_making *making, const cl_row *rows, const int64_t *carried, int64_t count,
                            coulis_error *error) {
    coulis_status status = COULIS_OK;
    for (int64_t i = 0; i < count && !status; i++) status = add_row(making, &rows[i], carried[i], false, error);
    if (!status && making->written + making->count < making->plan.rows &&
        cl_seconds() - making->kept_at >= KEEP_SECONDS)
        status = cl_making_keep(making, error);
    return status;
}

/* Adds the rows of all pieces, which cl_making_kept has found good. */
static coulis_status take_pieces(cl_making *making, coulis_error *error) {
    const cl_making_plan *plan = &making->plan;
    coulis_status status = COULIS_OK;
    while (!status && making->written + making->count < plan->rows) {
        cl_part_reader *reader;
        bool carried;
        status = open_piece(plan, making->pieces, making->written + making->count, &reader, &carried, error);
        if (status || !reader) return status;
        for (int32_t group = 0; !status && group < cl_part_reader_row_groups(reader); group++) {
            const cl_row *rows;
            int64_t count;
            status = cl_part_reader_read(reader, group, !carried, &rows, &count, error);
            for (int64_t i = 0; !status && i < count; i++)
                status = add_row(making, &rows[i], earlier_row(plan, &rows[i], carried), true, error);
        }
        cl_part_reader_close(reader);
        making->pieces++;
    }
    return status;
}

coulis_status cl_making_open(const cl_making_plan *plan, cl_making **out, coulis_error *error) {
    cl_making *making = cl_alloc_zero(1, sizeof *making);
    if (!making) return cl_fail_memory(error, "a part", sizeof *making);
    making->plan = *plan;
    making->kept_at = cl_seconds();
    size_t vector, rows = (size_t)plan->group_rows;
    if (cl_mul_size((size_t)plan->length, sizeof *making->vectors, &vector)) {
        making->rows = cl_alloc(rows, sizeof *making->rows);
        making->texts = cl_alloc(rows, sizeof *making->texts);
        making->vectors = cl_alloc(rows, vector);
    }
    if (plan->earlier) {
        making->carried = cl_alloc(rows, sizeof *making->carried);
        making->places = cl_alloc(rows, sizeof *making->places);
        making->wanted = cl_alloc(rows, sizeof *making->wanted);
    }
    coulis_status status = COULIS_OK;
    if (!making->rows || !making->texts || !making->vectors ||
        (plan->earlier && (!making->carried || !making->places || !making->wanted)))
        status = cl_fail(error, COULIS_NO_MEMORY, "not enough memory for %lld vectors of %lld dimensions",
                         (long long)plan->group_rows, (long long)plan->length);
    char *path = status ? NULL : cl_format("%s/part-%05lld.parquet", plan->folder, (long long)plan->part);
    if (!status && !path) status = no_memory(error);
    if (!status)
        status = cl_part_writer_open(path, plan->column, plan->length, plan->recipe, &plan->extra, &making->writer,
                                     error);
    cl_free(path);
    if (!status) status = take_pieces(making, error);
    if (status) cl_making_abort(making);
    else *out = making;
    return status;
}

coulis_status cl_making_commit(cl_making *making, coulis_error *error) {
    coulis_status status = making->count > 0 ? end_group(making, error) : COULIS_OK;
    if (!status) {
        status = cl_parts_commit(making->plan.parts, CL_KIND_FEATURES, making->plan.part, NULL, making->writer, error);
        making->writer = NULL;
    }
    if (!status && making->pieces > 0) status = cl_making_forget(making->plan.folder, making->plan.part, error);
    cl_making_abort(making);
    return status;
}
