/* What packing weights has in common: normalisation folded in, room, and the order of a product's weights. */
#pragma once

#include "net/step.h"

/* Memory for `weights` and `bias` numbers, zeroed. */
coulis_status cl_pack_room(cl_step *step, int64_t weights, int64_t bias, coulis_error *error);

/* What a batch normalisation or scale does to channel c: y = scale * x + shift, in float64; NULL: nothing. */
void cl_pack_fold(const coulis_model *model, const cl_node *norm, int64_t c, double *scale, double *shift);

/* The bias of channel c after that. */
float cl_pack_bias(const coulis_model *model, const cl_node *node, int64_t c, double scale, double shift);

/* The weights of a matrix product: row (kernel y, kernel x, input channel), column output channel, one group after
 * another. */
coulis_status cl_pack_product(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error);
