/* What the tests of principal components share. */
#ifndef CL_TEST_PCA_H
#define CL_TEST_PCA_H

#include "coulis.h"

static inline coulis_status fit(const float *x, int64_t rows, int64_t cols, double components, int32_t threads,
                                coulis_pca **pca, coulis_error *error) {
    coulis_pca_options options;
    coulis_pca_options_init(&options);
    options.components = components;
    options.threads = threads;
    return coulis_pca_fit(x, rows, cols, &options, pca, error);
}

#endif
