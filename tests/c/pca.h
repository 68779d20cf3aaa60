/* What the tests of principal components share. */
#pragma once

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "coulis.h"

/* Numbers in -1 .. 1, the same on every machine. */
static inline double random_number(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u; /* Knuth, MMIX */
    return (double)(*state >> 11) / 4503599627370496.0 - 1;
}

/* rows x cols of a few directions of falling strength, some noise, and an offset. */
static inline float *make_data(int64_t rows, int64_t cols, double offset) {
    enum { DIRECTIONS = 12 };
    uint64_t state = 1;
    float *x = cl_alloc((size_t)rows, (size_t)cols * sizeof *x);
    double *directions = cl_alloc(DIRECTIONS, (size_t)cols * sizeof *directions);
    for (int64_t i = 0; i < DIRECTIONS * cols; i++) directions[i] = random_number(&state) / (double)(i / cols + 1);
    for (int64_t r = 0; r < rows; r++) {
        double weights[DIRECTIONS];
        for (int i = 0; i < DIRECTIONS; i++) weights[i] = random_number(&state);
        for (int64_t c = 0; c < cols; c++) {
            double value = offset + 0.01 * random_number(&state);
            for (int i = 0; i < DIRECTIONS; i++) value += weights[i] * directions[i * cols + c];
            x[r * cols + c] = (float)value;
        }
    }
    cl_free(directions);
    return x;
}

/* rows x cols whose centred rows have the given singular values (count of them), apart from the rounding of floats:
 * columns of two cosine transforms, neither of them constant, give the singular vectors. */
static inline float *make_spectrum(int64_t rows, int64_t cols, int64_t count, const double *singular, double offset) {
    const double pi = 3.14159265358979323846;
    float *x = cl_alloc((size_t)rows, (size_t)cols * sizeof *x);
    double *v = cl_alloc((size_t)count, (size_t)cols * sizeof *v);
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < cols; c++)
            v[i * cols + c] = sqrt(2.0 / (double)cols) * cos(pi * ((double)c + 0.5) * (double)(i + 1) / (double)cols);
    double *row = cl_alloc((size_t)cols, sizeof *row);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++) row[c] = offset;
        for (int64_t i = 0; i < count; i++) {
            double u = sqrt(2.0 / (double)rows) * cos(pi * ((double)r + 0.5) * (double)(i + 1) / (double)rows);
            for (int64_t c = 0; c < cols; c++) row[c] += singular[i] * u * v[i * cols + c];
        }
        for (int64_t c = 0; c < cols; c++) x[r * cols + c] = (float)row[c];
    }
    cl_free(row);
    cl_free(v);
    return x;
}

static inline coulis_status fit_by(int32_t solver, const float *x, int64_t rows, int64_t cols, double components,
                                   int32_t threads, coulis_pca **pca, coulis_error *error) {
    coulis_pca_options options;
    coulis_pca_options_init(&options, sizeof options);
    options.components = components;
    options.threads = threads;
    options.solver = solver;
    return coulis_pca_fit(x, rows, cols, &options, pca, error);
}

static inline coulis_status fit(const float *x, int64_t rows, int64_t cols, double components, int32_t threads,
                                coulis_pca **pca, coulis_error *error) {
    return fit_by(COULIS_SOLVER_AUTO, x, rows, cols, components, threads, pca, error);
}

/* Whether two models are equal to the last bit. */
static inline int same(const coulis_pca *a, const coulis_pca *b) {
    if (!a || !b) return 0;
    size_t count = (size_t)coulis_pca_components_count(a), cols = (size_t)coulis_pca_columns(a);
    return coulis_pca_components_count(b) == (int64_t)count && coulis_pca_columns(b) == (int64_t)cols &&
           coulis_pca_samples(a) == coulis_pca_samples(b) && coulis_pca_solver(a) == coulis_pca_solver(b) &&
           coulis_pca_total_variance(a) == coulis_pca_total_variance(b) &&
           coulis_pca_error_bound(a) == coulis_pca_error_bound(b) &&
           !memcmp(coulis_pca_mean(a), coulis_pca_mean(b), cols * 8) &&
           !memcmp(coulis_pca_components(a), coulis_pca_components(b), count * cols * 4) &&
           !memcmp(coulis_pca_explained_variance(a), coulis_pca_explained_variance(b), count * 8) &&
           !memcmp(coulis_pca_explained_variance_ratio(a), coulis_pca_explained_variance_ratio(b), count * 8);
}

/* The largest deviation of the components' products from those of an orthonormal set. */
static inline double deviation(const coulis_pca *pca) {
    int64_t count = coulis_pca_components_count(pca), cols = coulis_pca_columns(pca);
    const float *v = coulis_pca_components(pca);
    double worst = 0;
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = i; j < count; j++) {
            double product = i == j ? -1 : 0;
            for (int64_t c = 0; c < cols; c++) product += (double)v[i * cols + c] * (double)v[j * cols + c];
            worst = fmax(worst, fabs(product));
        }
    return worst;
}
