/* A short stand-in for each row, from which a bound on the cosine of two rows follows. */
#pragma once

#include "index/vectors.h"

/* Directions in which most of the rows' length lies. NULL directions: none, the rows stand for themselves. */
typedef struct cl_filter {
    int64_t length;    /* numbers in a stand-in: `count` + 1, or the columns */
    int64_t count;     /* directions */
    float *directions; /* count x cols, of length 1 and at right angles to each other, nearly */
    double error;      /* the product of two stand-ins, summed in float32, plus this is at least the cosine */
    double slack;      /* what the errors of the directions and of products with them add, see filter.c */
} cl_filter;

/* Chooses directions for finding the pairs of rows with a cosine of at least `threshold`: those of the principal
 * components of a sample, as many as are estimated to leave the least work. The choice depends on the rows and the
 * threshold alone. It decides how long a search takes, never what is found. */
coulis_status cl_filter_choose(const cl_vectors *vectors, double threshold, cl_pool *pool, cl_filter *filter,
                               coulis_error *error);
void cl_filter_free(cl_filter *filter);

/* Stand-ins of rows first .. first+count-1 to `out` (count x length), by one thread. `scratch` has room for
 * count x (cols + 2 * length) numbers. */
void cl_filter_rows(const cl_filter *filter, const cl_vectors *vectors, int64_t first, int64_t count, float *scratch,
                    float *out);
