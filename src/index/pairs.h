/* All pairs of rows with a cosine of at least a threshold, and none else. */
#pragma once

#include "index/vectors.h"

typedef struct cl_pair {
    int64_t a, b;
    double similarity;
} cl_pair;

/* What finding the pairs took, for the summary. */
typedef struct cl_pairs_work {
    int64_t pairs;    /* compared by a bound or product */
    int64_t computed; /* of which the cosine was computed in float64 */
    int64_t found;
    int64_t numbers; /* of each row that the bound took */
} cl_pairs_work;

/* Calls `visit` for every pair: of a row of `a` and one of `b`, or, when `b` is NULL, of rows a < b of `a`. One thread
 * at a time calls it, with some pairs at once, in an order that depends on the threads; not 0 ends the search with
 * that status. `work` may be NULL. */
coulis_status cl_pairs_find(const cl_vectors *a, const cl_vectors *b, double threshold, cl_pool *pool,
                            coulis_status (*visit)(void *context, const cl_pair *pairs, int64_t count), void *context,
                            cl_pairs_work *work, coulis_error *error);
