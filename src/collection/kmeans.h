/* k-means of rows in memory. */
#pragma once

#include "base/threads.h"
#include "index/vectors.h"

typedef struct cl_kmeans {
    int64_t k, cols;
    float *centres;   /* k x cols: the mean of the rows of each cluster, rounded to float32 */
    int64_t *cluster; /* rows */
    float *distance;  /* rows: Euclidean, to the centre of the cluster */
    int64_t *sizes;   /* k */
    int64_t iterations;
    bool converged; /* no row is nearer to another centre */
    double inertia; /* the sum of the squares of the distances */
} cl_kmeans;

/* Lloyd's algorithm (Least squares quantization in PCM, 1982) from k-means++ centres (Arthur and Vassilvitskii, 2007)
 * drawn from a sample of at most 16,384 rows by a generator that begins with `seed`. The same rows, k and seed give the
 * same clusters on any number of threads. Clusters are numbered by size, the largest first. COULIS_INVALID_ARGUMENT
 * when there are fewer rows than k. */
coulis_status cl_kmeans_fit(const cl_vectors *vectors, int64_t k, uint64_t seed, cl_pool *pool, cl_kmeans *result,
                            coulis_error *error);
void cl_kmeans_free(cl_kmeans *result);
