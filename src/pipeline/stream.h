/* Threads that take items from a source, read them ahead and turn them into vectors, chunk after chunk.
 *
 *   source --readers--> queue of file contents --workers--> slots of vectors --> the caller, in order
 *
 * Both the queue and the slots are bounded, so a slow part holds the others back instead of filling memory. How many
 * items there are need not be known before the last one. */
#pragma once

#include "base/sha256.h"
#include "pipeline/carry.h"
#include "pipeline/featurizer.h"

/* A run of items of one part. It has no rows where a part begins of which an earlier run kept some. */
typedef struct cl_chunk {
    int64_t part, first, rows;
    const coulis_item *items;             /* with texts of their own; bytes and modified are those of what was read */
    const char (*sha256)[CL_SHA256_TEXT]; /* of the bytes of each, "" when they could not be read */
    const coulis_result *results;
    const float *vectors;
    const int64_t *carried; /* rows of an earlier result, whose vectors these have; -1: it is in `vectors` */
} cl_chunk;

/* How items are cut into parts and chunks, and what of them an earlier run has done: those items are passed over
 * unread. */
typedef struct cl_stream_plan {
    int64_t rows_per_part, rows_per_chunk;
    /* Of a part that begins: whether it is there as a whole, or how many of its first rows are. Called by a reader. */
    coulis_status (*rows_there)(void *context, int64_t part, int64_t *rows, bool *whole, coulis_error *error);
    void *context;
    cl_carry carry; /* items that an earlier result has are not made again */
} cl_stream_plan;

typedef enum cl_turn {
    CL_TURN_WAITING = 0, /* nothing yet */
    CL_TURN_CHUNK = 1,
    CL_TURN_END = 2, /* there are no more items */
    /* Of a halted stream: a chunk up to its first row that is not finished. This is the last turn, and the chunk may
     * not be released, as readers can still be at work on its other rows. */
    CL_TURN_CUT = 3
} cl_turn;

/* Counts of a stream so far. */
typedef struct cl_stream_counts {
    int64_t done, failed; /* items worked on; of them without a vector */
    int64_t skipped;      /* items that an earlier run has done, or whose vector is carried over */
} cl_stream_counts;

typedef struct cl_stream cl_stream;

/* Starts the threads. `source` and `featurizer` must outlive the stream. */
coulis_status cl_stream_create(const coulis_source *source, const cl_stream_plan *plan, coulis_featurizer *featurizer,
                               int32_t workers, int64_t max_bytes, cl_stream **stream, coulis_error *error);

/* Stops the threads, throwing away what is not finished. */
void cl_stream_free(cl_stream *stream);

/* Waits for the chunk after the one released last, but no longer than a fifth of a second. *chunk holds its rows until
 * cl_stream_release. Fails when the source did, or a worker ran out of memory. */
coulis_status cl_stream_wait(cl_stream *stream, cl_turn *turn, cl_chunk *chunk, cl_stream_counts *counts,
                             coulis_error *error);

/* Nobody takes another item from now on. What the threads have in hand they finish, and cl_stream_wait gives what is
 * there, in order: CL_TURN_CHUNK until a chunk is not whole, then CL_TURN_CUT or CL_TURN_END. */
void cl_stream_halt(cl_stream *stream);

/* Frees the place of the chunk that cl_stream_wait gave. */
void cl_stream_release(cl_stream *stream);
