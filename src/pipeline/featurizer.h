/* From one picture to its vector, on one of several threads. */
#ifndef CL_PIPELINE_FEATURIZER_H
#define CL_PIPELINE_FEATURIZER_H

#include "coulis.h"

/* What coulis_featurizer_create does, but starts no threads: the caller brings `workers` of its own, each of
 * which calls with a number of its own. */
coulis_status cl_featurizer_create(const coulis_model *model, int32_t features, const coulis_image_options *options,
                                   int32_t workers, coulis_featurizer **featurizer, coulis_error *error);

/* Featurizes one picture held in memory as worker `worker`; `values` gets `length` numbers, zeros
 * when it fails. The result is the picture's: it never stops the batch. */
void cl_featurizer_one(coulis_featurizer *featurizer, int32_t worker, const uint8_t *bytes, size_t size,
                       float *values, coulis_result *result);

#endif
