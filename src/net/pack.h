/* Weights as the kernels want them: normalisation folded in, packed, padded. */
#ifndef CL_NET_PACK_H
#define CL_NET_PACK_H

#include "net/plan.h"

/* Fills weights and bias of `step`, whose kind, node and groups are set. The batch normalisation `norm` is folded into
 * them; NULL for none. */
coulis_status cl_step_pack(const cl_plan *plan, const coulis_model *model, const cl_node *norm, cl_step *step,
                           coulis_error *error);

/* Numbers of scratch memory the step needs to run. */
int64_t cl_step_scratch_count(const cl_plan *plan, const cl_step *step);

/* Output pixels whose patches of `depth` numbers are gathered at a time. */
int64_t cl_patch_rows(int64_t depth);

/* Tiles of 4x4 output pixels that a Winograd step transforms at a time at most, for `in` and `out` padded channels. */
int64_t cl_winograd_tiles(int64_t in, int64_t out);

/* Output channels that it computes at a time, when `left` remain. */
int64_t cl_winograd_columns(int64_t left);

/* The distance between planes of `count` numbers in Winograd's domain: an odd number of cache lines, as a transform
 * touches the same place of 36 planes, which must not all fall into the same few sets of a cache. */
int64_t cl_winograd_plane(int64_t count);

#endif
