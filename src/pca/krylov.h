/* Principal components by randomized block Krylov iteration: for data with too many rows and columns for a matrix in
 * memory. */
#pragma once

#include "base/threads.h"
#include "pca/rows.h"

/* Components that may be asked for by number, and vectors of the space in which they are looked for: cols floats
 * each. */
#define CL_KRYLOV_COMPONENTS 2048
#define CL_KRYLOV_VECTORS 4096

/* `components` as in coulis_pca_options, already checked against the shape. The rows, or where they are elsewhere the
 * spans; the other is NULL. */
coulis_status cl_krylov_fit(const cl_rows *rows, const coulis_spans *spans, double components, cl_pool *pool,
                            coulis_pca **pca, coulis_error *error);
