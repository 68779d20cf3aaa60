/* A fitted principal component analysis. */
#ifndef CL_PCA_MODEL_H
#define CL_PCA_MODEL_H

#include "coulis.h"

struct coulis_pca {
    int64_t count, cols, samples; /* count: components kept */
    double total_variance;
    double *mean;       /* cols */
    double *variance;   /* count, of the scores along each component */
    double *ratio;      /* count, variance / total_variance */
    float *components;  /* count x cols */
};

/* A model with room for its arrays. */
coulis_status cl_pca_alloc(int64_t count, int64_t cols, coulis_pca **pca, coulis_error *error);

#endif
