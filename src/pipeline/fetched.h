/* Results and PCAs in S3, brought here to be read: see remote/stand_in.h. */
#pragma once

#include "remote/stand_in.h"

/* The folder of a result. COULIS_MISSING when there is nothing. What is brought here is not checked; the end of it is
 * cl_stand_in_end, also after a failure. */
coulis_status cl_fetch_result(const char *name, cl_stand_in *in, coulis_error *error);

/* The file of a PCA: `name` itself, or pca.safetensors in that folder or below that prefix. */
coulis_status cl_fetch_pca(const char *name, cl_stand_in *in, coulis_error *error);
