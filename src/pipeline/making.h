/* A part in the making: its rows are gathered into row groups, and those of an unfinished part are kept on disk.
 *
 * A part under its own name is whole, so what a job has done of it until then stands in pieces beside it: small parts
 * named .part-NNNNN.piece-NNNNN.parquet, each with the rows that came after those of the piece before. A job that goes
 * on takes the rows out of the pieces and makes the rest; the finished part has the bytes it would have had. Pieces of
 * rows that are carried over have no vectors: these are fetched from the earlier result again. */
#pragma once

#include "pipeline/earlier.h"
#include "pipeline/parts.h"

typedef struct cl_making cl_making;

/* What a part is to be. The texts must outlive the making. */
typedef struct cl_making_plan {
    const char *folder, *column, *recipe;
    int64_t part, length; /* its number; numbers in a vector */
    int64_t rows;         /* of the whole part */
    int64_t group_rows;   /* of a row group */
    cl_parts *parts;      /* where the finished part is written down, as of the kind "features" */
    /* Whether an image is as it was when its row was made; `row` counts from the first of the part. NULL: it is. */
    bool (*is_current)(const void *context, int64_t part, int64_t row, const cl_row *made);
    const void *context;
    cl_extra extra;      /* further text columns */
    cl_earlier *earlier; /* from which vectors are carried over; NULL: from none */
} cl_making_plan;

/* How many rows of the part an earlier run kept: pieces of the same plan from the first row on, without a gap. Pieces
 * that are damaged, of another plan or of images that have changed do not count; they and those after them are
 * removed. */
coulis_status cl_making_kept(const cl_making_plan *plan, int64_t *rows, coulis_error *error);

/* Begins the part with the rows that were kept. */
coulis_status cl_making_open(const cl_making_plan *plan, cl_making **making, coulis_error *error);

/* Appends rows; they and their vectors are copied. Now and then keeps them in a piece. `carried`: the rows of
 * plan->earlier whose vectors they have, -1 for one with its own. */
coulis_status cl_making_add(cl_making *making, const cl_row *rows, const int64_t *carried, int64_t count,
                            coulis_error *error);

/* Keeps the rows added so far, for a job that is to stop. */
coulis_status cl_making_keep(cl_making *making, coulis_error *error);

/* All rows are there: writes the part down, gives it its name and removes its pieces. Releases `making` in any case. */
coulis_status cl_making_commit(cl_making *making, coulis_error *error);

/* Releases `making`; its pieces stay. NULL is allowed. */
void cl_making_abort(cl_making *making);

/* Removes the pieces of a part, the last one first, so that what remains of an interrupted removal is found. */
coulis_status cl_making_forget(const char *folder, int64_t part, coulis_error *error);
