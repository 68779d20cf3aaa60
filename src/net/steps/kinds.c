/* Every kind of step, in the order in which they are asked whether they accept a node. */
#include "net/step.h"

const cl_step_ops *const cl_step_kinds[] = {
    &cl_step_picture,
    /* What reads convolutions: special ones first. */
    &cl_step_depthwise,
    &cl_step_winograd,
    &cl_step_pointwise,
    &cl_step_conv,
    &cl_step_scale,
    &cl_step_activation,
    &cl_step_arithmetic,
    &cl_step_softmax,
    &cl_step_pool,
    &cl_step_concat,
    &cl_step_slice,
    &cl_step_shuffle,
    &cl_step_pad,
    &cl_step_flatten,
    &cl_step_layer_norm,
    &cl_step_row_norm,
    &cl_step_grn,
    &cl_step_prelu,
    &cl_step_power,
    &cl_step_tokens,
    &cl_step_take,
    &cl_step_attention,
    &cl_step_embed,
    NULL,
};
