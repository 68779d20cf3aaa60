/* A network prepared to run: operators joined, weights packed, memory laid out.
 *
 *   graph -> cl_plan_create (once per model and feature) -> cl_plan_run (a few pictures, on one thread)
 *
 * Batch normalisation is folded into the convolution before it; bias, residual addition and
 * activation are applied as a convolution stores its result.
 *
 * Steps before `streamed` are worked through row by row: each makes a row when the next one asks for it, so that
 * a widened map (expand, depthwise, project) is never there as a whole but only as the few rows in use, in the
 * cache. Steps before `split` work on large maps and run picture by picture. From there on maps are small and weights
 * large, and up to CL_PLAN_PICTURES pictures go through each step together, so that the weights are fetched
 * once for all of them. Every number is summed in the same order either way: none depends on another picture. */
#ifndef CL_NET_PLAN_H
#define CL_NET_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/kernels.h"
#include "net/model.h"

/* What a step computes. */
typedef enum cl_step_kind {
    CL_STEP_CONV,      /* any convolution but depthwise; its patches are gathered into rows */
    CL_STEP_WINOGRAD,  /* 3x3, stride 1, by F(4x4, 3x3) */
    CL_STEP_POINTWISE, /* 1x1, stride 1: the feature map is the matrix as it lies */
    CL_STEP_DEPTHWISE,
    CL_STEP_SCALE, /* batch normalisation or activation that could not be joined */
    CL_STEP_ADD,
    CL_STEP_MAX_POOL,
    CL_STEP_AVERAGE_POOL
} cl_step_kind;

/* A feature map in the workspace: height, width, and `stride` numbers a pixel of which the first
 * `channels` count and the rest are zero. */
typedef struct cl_value {
    int32_t height, width, channels;
    int64_t stride;
    int32_t rows;     /* kept at a time: row y lies at y % rows; the height when all are */
    int64_t size;     /* of one picture's rows kept, in numbers */
    bool together;    /* room for all pictures, one after another; else for one */
    int64_t offset;   /* in the workspace, in numbers */
    int32_t last_use; /* the last step that reads it */
} cl_value;

typedef struct cl_step {
    cl_step_kind kind;
    const cl_node *node; /* where the window and the name come from */
    int32_t input, other, output; /* values; `other` is the second operand or the residual, -1 for none */
    int32_t groups;
    float *weights; /* packed for gemm, one group after another; taps x channels; or scale then shift */
    float *bias;    /* padded with zeros; one group after another */
    float low, high;
} cl_step;

typedef struct cl_plan {
    const cl_kernels *kernels;
    float pixel[3][256]; /* (x - mean) / std of each byte, by channel of the network */
    bool bgr;
    cl_value *values; /* values[0] is the picture */
    int32_t value_count;
    cl_step *steps;
    int32_t step_count;
    int32_t streamed;        /* steps before it run row by row; at most CL_STREAMED_MAX */
    int32_t split;           /* steps from here on run for all pictures together */
    int64_t workspace_count; /* numbers in a workspace */
    int64_t scratch_offset;  /* where in it the gathered patches go */
    int32_t output;          /* value */
    int64_t length;          /* numbers in the result */
} cl_plan;

/* Steps that run row by row at most: far more than lie before a network's maps get small. */
#define CL_STREAMED_MAX 64

/* Pictures that go through a plan at a time, at most. */
#define CL_PLAN_PICTURES 4

/* A plan up to `output`, a node of the model's graph. The model must outlive it. */
coulis_status cl_plan_create(const coulis_model *model, int32_t output, cl_plan **plan, coulis_error *error);
void cl_plan_free(cl_plan *plan);

/* Runs 1 to CL_PLAN_PICTURES pictures: rgb[i] (height x width x 3 bytes) to out[i] (`length` numbers).
 * `workspace` holds workspace_count numbers, aligned to 64 bytes, and belongs to one thread. */
void cl_plan_run(const cl_plan *plan, int32_t pictures, const uint8_t *const *rgb, float *workspace,
                 float *const *out);

#endif
