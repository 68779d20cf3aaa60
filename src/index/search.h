/* The nearest rows of some queries, among rows that come in blocks. */
#pragma once

#include "index/vectors.h"

typedef struct cl_search cl_search;

/* Prepares the search for the k nearest rows of each query. The queries and the pool must outlive it. Memory: a packed
 * copy of the queries and, for each thread, k neighbours of each. */
coulis_status cl_search_create(const cl_vectors *queries, int64_t k, cl_pool *pool, cl_search **search,
                               coulis_error *error);
void cl_search_free(cl_search *search);

/* Goes through rows that are numbered from first_row on. The result does not depend on how rows are cut into blocks,
 * nor on the order of the blocks. */
void cl_search_rows(cl_search *search, const cl_vectors *rows, int64_t first_row);

/* Writes k neighbours of each query in descending order of similarity, equal ones in ascending order of rows, to
 * similarity and row (queries x k). Where there are fewer rows than k, the rest is row -1 with similarity -infinity. */
void cl_search_finish(cl_search *search, float *similarity, int64_t *row);

/* Queries that are best searched for together: few enough that what a search holds stays small. */
int64_t cl_search_batch(int64_t cols, int64_t k, const cl_pool *pool);
