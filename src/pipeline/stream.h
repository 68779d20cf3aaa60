/* Threads that read files ahead and turn them into vectors, chunk after chunk.
 *
 *   readers --queue of file contents--> workers --slots of vectors--> the caller, in order
 *
 * Both the queue and the slots are bounded, so a slow part holds the others back instead of filling memory. */
#ifndef CL_PIPELINE_STREAM_H
#define CL_PIPELINE_STREAM_H

#include <stdbool.h>

#include "base/files.h"
#include "base/sha256.h"
#include "base/threads.h"
#include "pipeline/featurizer.h"
#include "pipeline/list.h"

/* A run of inputs that belong to one part. */
typedef struct cl_chunk {
    int64_t first, rows;
} cl_chunk;

/* What the file of a row was when it was read. */
typedef struct cl_origin {
    cl_file_state state;
    char sha256[CL_SHA256_TEXT]; /* of its bytes, "" when they could not be read */
} cl_origin;

typedef struct cl_stream cl_stream;

/* Starts the threads. `chunks` and all else must outlive the stream; no chunk has more than `chunk_rows`. */
coulis_status cl_stream_create(const cl_list *list, const cl_chunk *chunks, int64_t count, int64_t chunk_rows,
                               coulis_featurizer *featurizer, int32_t workers, int64_t max_bytes,
                               cl_stream **stream, coulis_error *error);

/* Stops the threads, throwing away what is not finished. */
void cl_stream_free(cl_stream *stream);

/* Waits until chunk `number` is finished, but no longer than a fifth of a second: *ready says which. Then
 * *results, *origins and *vectors hold its rows until cl_stream_release. `done` and `failed` count all
 * pictures of this stream so far. Fails when a worker ran out of memory. */
coulis_status cl_stream_wait(cl_stream *stream, int64_t number, bool *ready, coulis_result **results,
                             const cl_origin **origins, const float **vectors, int64_t *done, int64_t *failed,
                             coulis_error *error);

/* Frees the place of a chunk that cl_stream_wait gave; chunks are released in order. */
void cl_stream_release(cl_stream *stream, int64_t number);

#endif
