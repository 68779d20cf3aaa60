/* A network prepared to run: operators joined, weights packed, memory laid out.
 *
 *   graph -> cl_plan_create (once per model and feature) -> cl_plan_run (a few pictures, on one thread)
 *
 * Batch normalisation is folded into the convolution before it; bias, residual addition and clamp are applied as a
 * convolution stores its result, another activation by a pass over what it has just stored.
 *
 * Runs of steps with a depthwise convolution among them are worked through row by row: each makes a row when the next
 * one asks for it, so that a widened map (expand, depthwise, project) is never there as a whole but only as the few
 * rows in use, in the cache. Steps before `split` work on large maps and run picture by picture. From there on maps
 * are small and weights large, and up to CL_PLAN_PICTURES pictures go through each step together, so that the weights
 * are fetched once for all of them. Every number is summed in the same order either way: none depends on another
 * picture. */
#ifndef CL_NET_PLAN_H
#define CL_NET_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/kernels.h"
#include "kernels/reduced/reduced.h"
#include "net/model.h"

/* What a step computes. */
typedef enum cl_step_kind {
    CL_STEP_CONV,      /* any convolution but depthwise; its patches are gathered into rows */
    CL_STEP_WINOGRAD,  /* 3x3, stride 1, by F(4x4, 3x3) */
    CL_STEP_POINTWISE, /* 1x1, stride 1: the feature map is the matrix as it lies */
    CL_STEP_DEPTHWISE,
    CL_STEP_SCALE,      /* batch normalisation or clamp that could not be joined */
    CL_STEP_ACTIVATION, /* another activation that could not be joined */
    CL_STEP_ARITHMETIC, /* two maps, or a map and a vector */
    CL_STEP_SOFTMAX,
    CL_STEP_MAX_POOL,
    CL_STEP_AVERAGE_POOL,
    CL_STEP_PICTURE, /* the picture as a map like any other, for what cannot read it as it is */
    CL_STEP_CONCAT,
    CL_STEP_SLICE,
    CL_STEP_SHUFFLE,
    CL_STEP_PAD,
    CL_STEP_FLATTEN
} cl_step_kind;

/* A feature map in the workspace: height, width, and `stride` numbers a pixel of which the first
 * `channels` count. No number that counts is ever made from the rest. */
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
    int32_t *more;                /* concat: the values after `input` */
    int32_t more_count;
    int32_t groups; /* of a convolution; several of the network's may be one here */
    float *weights; /* packed for gemm, one group after another; taps x channels; or scale then shift */
    bool reduced;   /* they are packed for the plan's `reduced` */
    bool zeros;     /* many numbers of the input are 0, and products with them may be left out */
    float *bias;    /* padded with zeros; one group after another */
    float low, high;
    cl_activation activation; /* of what the step has stored */
    float a, b;               /* its parameters */
    int32_t stream_end; /* it runs row by row, together with the steps up to here; 0: it does not */
} cl_step;

typedef struct cl_plan {
    const cl_kernels *kernels;
    const cl_reduced *reduced; /* products of pointwise steps; NULL for float32 */
    float pixel[3][256]; /* (x - mean) / std of each byte, by channel of the network */
    bool bgr;
    cl_value *values; /* values[0] is the picture */
    int32_t value_count;
    cl_step *steps;
    int32_t step_count;
    int32_t split;           /* steps from here on run for all pictures together */
    int64_t workspace_count; /* numbers in a workspace */
    int64_t scratch_offset;  /* where in it the gathered patches go */
    int32_t output;          /* value */
    int64_t length;          /* numbers in the result */
} cl_plan;

/* Steps that run row by row together at most: far more than lie before a network's maps get small. */
#define CL_STREAMED_MAX 64

/* Pictures that go through a plan at a time, at most. */
#define CL_PLAN_PICTURES 4

/* Maps of at most this many pixels are worked on for all pictures together: 14x14 and 7x7, where the weights of a
 * layer outweigh its numbers. */
#define CL_TOGETHER_PIXELS_MAX 256

/* A plan up to `output`, a node of the model's graph, in a coulis_precision. The model must outlive it. */
coulis_status cl_plan_create(const coulis_model *model, int32_t output, int32_t precision, cl_plan **plan,
                             coulis_error *error);
void cl_plan_free(cl_plan *plan);

/* Where steps are split and streamed, and gives every value the lowest place that is free from the step that writes it
 * to the last that reads it. Part of cl_plan_create; steps and the sizes of values are set. */
coulis_status cl_plan_lay_out(cl_plan *plan, coulis_error *error);

/* Runs 1 to CL_PLAN_PICTURES pictures: rgb[i] (height x width x 3 bytes) to out[i] (`length` numbers).
 * `workspace` holds workspace_count numbers, aligned to 64 bytes, and belongs to one thread. */
void cl_plan_run(const cl_plan *plan, int32_t pictures, const uint8_t *const *rgb, float *workspace,
                 float *const *out);

#endif
