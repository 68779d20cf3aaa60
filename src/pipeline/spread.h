/* How much of the variance of some rows their scores hold. */
#pragma once

#include "base/base.h"

typedef struct cl_spread {
    int64_t rows, cols, components;
    const double *mean;            /* of the PCA: sums about it lose no digits */
    double *col_sums, *score_sums; /* of the differences from the mean, of the scores */
    double squares, score_squares;
} cl_spread;

/* Release with cl_spread_free also when it failed. The PCA must outlive it. */
coulis_status cl_spread_begin(cl_spread *spread, const coulis_pca *pca, coulis_error *error);
void cl_spread_free(cl_spread *spread);

/* Adds rows and their scores; sums in float64, in the order of the rows. */
void cl_spread_add(cl_spread *spread, const float *vectors, const float *scores, int64_t rows);

/* The variance of the scores divided by that of the rows, both about their own means: for the rows of the fit its
 * explained variance. 0 when the rows do not differ. */
double cl_spread_share(const cl_spread *spread);
