/* A fixed set of threads that share out numbered pieces of work. */
#pragma once

#include "base/base.h"

typedef struct cl_pool cl_pool;

/* A pool of `threads` workers (0: all cores), the caller among them: 1 starts no
 * thread at all. */
coulis_status cl_pool_create(int32_t threads, cl_pool **pool, coulis_error *error);
void cl_pool_free(cl_pool *pool);
int32_t cl_pool_threads(const cl_pool *pool);

/* Calls `work(context, piece, worker)` once for each piece 0 .. pieces-1, on any
 * worker (0 .. threads-1) and in any order, and returns when all are done. A
 * worker runs one piece at a time, so scratch memory can be kept per worker.
 * Results must not depend on which worker had which piece. */
void cl_pool_run(cl_pool *pool, int64_t pieces, void (*work)(void *context, int64_t piece, int32_t worker),
                 void *context);
