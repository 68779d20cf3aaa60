/* A network prepared to run: operators fused, weights packed, memory laid out.
 *
 *   graph -> cl_plan_create (once per model and feature) -> cl_plan_run (a few images, on one thread)
 *
 * cl_plan_create is a row of passes, each in its file: lower.c makes a step of every node that the output needs,
 * fuse.c merges steps, steps/ pack their weights, stream.c and layout.c decide what runs together and where values
 * are. What a kind of step is stands in one file of steps/.
 *
 * Every number is summed in the same order whatever runs together: none depends on another image. */
#pragma once

#include "kernels/kernels.h"
#include "kernels/reduced/reduced.h"
#include "net/model.h"

/* Rows of channels in the workspace: the pixels of a feature map line by line, the tokens of a sequence (a map of width
 * 1), or a vector (a single row). A row takes `stride` numbers of which the first `channels` count. No number that
 * counts is ever made from the rest. */
typedef struct cl_value {
    int32_t height, width, channels;
    int64_t rows; /* height * width */
    int64_t stride;
    int32_t writer;   /* the step that writes it; -1: the image as given */
    int32_t last_use; /* the last step that reads it; the number of steps for the output */
    int32_t lines;    /* lines of the map kept at a time: line y is at y % lines; the height when all are */
    int64_t size;     /* of one image's lines kept, in numbers */
    bool together;    /* room for all images, one after another; else for one */
    int64_t offset;   /* in the workspace, in numbers */
} cl_value;

typedef struct cl_step_ops cl_step_ops; /* step.h */

typedef struct cl_step {
    const cl_step_ops *ops;
    const cl_node *node; /* where its parameters are */
    const cl_node *norm; /* the normalisation folded into its weights; NULL for none */
    int32_t *inputs;     /* values */
    int32_t input_count;
    int32_t output;           /* value */
    int32_t first;            /* of a step that makes some of its rows alone: the first of them */
    int32_t column;           /* the same of a dense layer's columns */
    int32_t residual;         /* the value added to the result, -1 for none */
    float low, high;          /* bounds of the result */
    cl_activation activation; /* of what the step has stored */
    int32_t groups;           /* of a convolution; several of the network's may be one here */
    float *weights;           /* as the kernels of the step want them */
    float *bias;              /* padded with zeros */
    const float *table;       /* of embed: the model's own, as it may be most of the file */
    bool reduced;             /* the weights are packed for the plan's `reduced` */
    bool zeros;               /* many numbers of the input are 0, and products with them may be skipped */
    int32_t stream_end;       /* it runs line by line, together with the steps up to here; 0: it does not */
} cl_step;

typedef struct cl_plan {
    const cl_kernels *kernels;
    const cl_reduced *reduced; /* products of pointwise steps; NULL for float32 */
    float pixel[3][256];       /* (x - mean) / std of each byte, by channel of the network */
    bool bgr;
    cl_value *values; /* values[0] is the image as given */
    int32_t value_count;
    cl_step *steps;
    int32_t step_count;
    int32_t *inputs;         /* of all steps */
    int32_t split;           /* steps from here on run for all images together */
    int64_t workspace_count; /* numbers in a workspace */
    int64_t scratch_offset;  /* where in it the steps' scratch memory is */
    int32_t output;          /* value */
    int64_t length;          /* numbers in the result */
} cl_plan;

/* Images that go through a plan at a time, at most. */
#define CL_PLAN_IMAGES 4

/* A plan up to `output`, a node of the model's graph, in a coulis_precision. The model must outlive it. */
coulis_status cl_plan_create(const coulis_model *model, int32_t output, int32_t precision, cl_plan **plan,
                             coulis_error *error);
void cl_plan_free(cl_plan *plan);

/* Runs 1 to CL_PLAN_IMAGES images: rgb[i] (height x width x 3 bytes) to out[i] (`length` numbers).
 * `workspace` holds workspace_count numbers, aligned to 64 bytes, and belongs to one thread. */
void cl_plan_run(const cl_plan *plan, int32_t images, const uint8_t *const *rgb, float *workspace, float *const *out);
