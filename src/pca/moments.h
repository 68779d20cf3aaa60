/* The accumulator behind coulis_moments: a sorted list of complete subtrees of a fixed binary tree over leaves of
 * rows, and the rows of the last, unfinished leaf as they came. */
#pragma once

#include "base/threads.h"
#include "pca/covariance.h"

/* Leaves index << level .. ((index + 1) << level) - 1. */
typedef struct cl_moments_node {
    int64_t level, index;
    cl_sums sums;
} cl_moments_node;

struct coulis_moments {
    int64_t cols, leaf; /* leaf: rows of one */
    int64_t next;       /* number of the row that follows the last one */
    cl_pool *pool;
    bool owns_pool;
    cl_covariance *work;    /* from the first leaf on */
    cl_sums spare;          /* memory for the next node, after two have become one: new pages cost time */
    cl_moments_node *nodes; /* by rows; no two of them siblings */
    int64_t count, room;
    float *rest;       /* rows of the unfinished leaf, room for `leaf` of them; NULL as long as there was none */
    int64_t rest_rows; /* the last of them is row next - 1 */
};

/* More rows than this are refused: their numbers stay exact in a double, and every product of sizes in 64 bits. */
#define CL_ROWS_MAX (1LL << 52)

/* coulis_moments_create with a pool that exists and outlives the result. */
coulis_status cl_moments_create(int64_t cols, int64_t first_row, cl_pool *pool, coulis_moments **moments,
                                coulis_error *error);

/* Memory for the sums of one node; without both arrays on failure. */
coulis_status cl_sums_alloc(int64_t cols, cl_sums *sums, coulis_error *error);
void cl_sums_free(cl_sums *sums);

/* Puts a node in its place, takes its arrays over, and merges siblings as long as there are any. There must be room. */
void cl_moments_put(coulis_moments *moments, const cl_moments_node *node);
coulis_status cl_moments_make_room(coulis_moments *moments, int64_t more, coulis_error *error);

/* Memory for the rows of an unfinished leaf, if there is none yet. */
coulis_status cl_moments_make_rest(coulis_moments *moments, coulis_error *error);

/* First row of a node, and the row after its last. */
int64_t cl_moments_node_begin(const coulis_moments *moments, const cl_moments_node *node);
int64_t cl_moments_node_end(const coulis_moments *moments, const cl_moments_node *node);

/* The sums of all rows, which must be there from 0 on, into `sums`, whose arrays it allocates. */
coulis_status cl_moments_total(const coulis_moments *moments, cl_sums *sums, coulis_error *error);
