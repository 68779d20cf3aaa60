/* A fitted principal component analysis. */
#pragma once

#include "base/files.h"
#include "base/threads.h"

struct coulis_pca {
    int64_t count, cols, samples; /* count: components kept */
    int32_t solver;               /* coulis_solver */
    double error_bound;           /* of ratio */
    double total_variance;
    double *mean;      /* cols */
    double *variance;  /* count, of the scores along each component */
    double *ratio;     /* count, variance / total_variance */
    float *components; /* count x cols */
    char *recipe;      /* of the vectors it was fitted to, JSON; NULL when they had none */
};

/* Writes the file under its temporary name: coulis_pca_save but for the flush and the rename. */
coulis_status cl_pca_stage(const coulis_pca *pca, const char *path, cl_new_file *file, coulis_error *error);

/* A model with room for its arrays. */
coulis_status cl_pca_alloc(int64_t count, int64_t cols, coulis_pca **pca, coulis_error *error);

/* The number of components whose values add up to more than `share` of `total`: scikit-learn's rule, the place where
 * the share would be inserted into the running sums, to the right of equals. `count` when they do not. */
int64_t cl_count_for_share(const double *values, int64_t count, double total, double share);

/* The last act of a fit: the sums of squares in pca->variance become shares of `total` and variances, and the signs of
 * the components those of scikit-learn. */
void cl_pca_finish(cl_pool *pool, coulis_pca *pca, int64_t samples, double total);
