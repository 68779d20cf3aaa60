/* Dense symmetric eigenproblems and factorisations. What costs n^3 runs on the pool, and so does LAPACK on sections of
 * the tridiagonal eigenproblem. */
#pragma once

#include "base/threads.h"

/* A symmetric matrix brought to tridiagonal form. */
typedef struct cl_eigen {
    int64_t n;
    cl_pool *pool;
    double *matrix;    /* the caller's, overwritten by the reflectors */
    double *triangles; /* of the reflectors: see band.h */
    double *diagonal, *beside;
    int exponent; /* the matrix was divided by 2^exponent before */
} cl_eigen;

/* Reduces the symmetric n x n matrix, of which the upper triangle (row-major) is read. `pool` must outlive the
 * result. */
coulis_status cl_eigen_open(cl_eigen *eigen, double *matrix, int64_t n, cl_pool *pool, coulis_error *error);
void cl_eigen_close(cl_eigen *eigen);

/* All n eigenvalues, largest first. */
coulis_status cl_eigen_values(const cl_eigen *eigen, double *values, coulis_error *error);

/* The `count` largest eigenvalues, largest first, and their eigenvectors (count x n), orthonormal. */
coulis_status cl_eigen_vectors(const cl_eigen *eigen, int64_t count, double *values, double *vectors,
                               coulis_error *error);

/* The symmetric n x n matrix S = L L^T, its upper triangle (row-major) given: puts the inverse of L transposed there
 * instead. Stops before the first row i with L[i][i] < least, and returns the number of rows done. */
int64_t cl_invert_cholesky(double *matrix, int64_t n, double least);
