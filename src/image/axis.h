/* One direction of a resize: which samples each output sample is made of, with what weights.
 * The numbers are Pillow's: its filters, stretched when shrinking, computed in double precision and
 * rounded to CL_RESIZE_BITS bits; for its NEAREST, one sample of weight 1. */
#pragma once

#include "base/base.h"

/* `samples` there are, of which those between two edges count. */
typedef struct cl_axis_part {
    int64_t samples;
    double begin, end;
} cl_axis_part;

typedef struct cl_axis {
    int64_t in;     /* samples there are */
    int64_t out;    /* samples the part of them is resized to */
    int64_t offset; /* the first of those that is wanted */
    int32_t count;  /* how many are wanted */
    double begin, scale, support, inverse;
    double (*filter)(double x); /* NULL for the nearest sample */
    int64_t *first;             /* per wanted sample: the first sample it is made of, */
    int64_t *taps;              /* of how many, at least 1, */
    double *sum;                /* and the sum of the weights before they are normalized */
    int64_t table_stride;
    int32_t *table; /* table_stride weights per wanted sample; NULL when that would be much memory */
} cl_axis;

/* `filter`: coulis_filter. False when memory is short; cl_axis_free either way. Neither first nor first + taps ever
 * decreases. */
_Bool cl_axis_init(cl_axis *axis, cl_axis_part part, int32_t filter, int64_t out, int64_t offset, int32_t count);
void cl_axis_free(cl_axis *axis);

/* `count` weights of wanted sample `o`, from sample `from` on: in the table, or computed into `scratch`. */
const int32_t *cl_axis_weights(const cl_axis *axis, int32_t o, int64_t from, int64_t count, int32_t *scratch);
