/* The smallest variances, found again from the rows themselves.
 *
 * The matrix whose eigenvalues are the variances is a sum of float products. Where many rows are equal, their
 * roundings add up instead of cancelling out, and eigenvalues that should be 0 come out as up to 6e-7 of the largest
 * (two rows repeated 1,500 times each, without fused multiply-add). The squares of the scores have no such floor:
 * their error is the square of a score's. */
#pragma once

#include "pca/model.h"

/* Where the tail begins: eigenvalues from here on, as a share of the largest, are found again. */
#define CL_TAIL 1.52587890625e-5 /* 2^-16 */
/* What is less than this share of the largest after being found again is 0. */
#define CL_ZERO 1.4551915228366852e-11 /* 2^-36 */

/* Of `count` eigenvalues, largest first, the number before the tail. */
int64_t cl_tail_begin(const double *values, int64_t count);

/* Takes the measured sums of squares (count - begin) for the eigenvalues in pca->variance from `begin` on, and brings
 * those components into falling order. An eigenvalue of which less than half is found again was noise, and
 * becomes 0. */
coulis_status cl_tail_settle(coulis_pca *pca, int64_t begin, const double *squares, coulis_error *error);
