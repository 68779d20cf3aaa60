/* How each kind of step runs. */
#ifndef CL_NET_STEPS_H
#define CL_NET_STEPS_H

#include "net/plan.h"

/* One pass over steps: for one picture before the split, for all after it. */
typedef struct cl_run {
    const cl_plan *plan;
    float *workspace;
    int32_t first;    /* the picture whose share of a `together` map is meant */
    int32_t pictures; /* worked on together from there */
} cl_run;

/* The numbers of a map, those of picture `first` and on. */
static inline float *cl_value_data(const cl_run *run, int32_t value) {
    const cl_value *v = &run->plan->values[value];
    return run->workspace + v->offset + (v->together ? run->first * v->size : 0);
}

/* Row y of a map of picture `first`. */
static inline float *cl_value_row(const cl_run *run, int32_t value, int64_t y) {
    const cl_value *v = &run->plan->values[value];
    return cl_value_data(run, value) + y % v->rows * v->width * v->stride;
}

/* The map that is added to the step's result, NULL for none. */
static inline const float *cl_residual_data(const cl_run *run, const cl_step *step) {
    return step->other >= 0 ? cl_value_data(run, step->other) : NULL;
}

/* Whole maps. */
void cl_run_conv(const cl_run *run, const cl_step *step);
void cl_run_winograd(const cl_run *run, const cl_step *step);
void cl_run_pointwise(const cl_run *run, const cl_step *step);
void cl_run_depthwise(const cl_run *run, const cl_step *step);
void cl_run_pool(const cl_run *run, const cl_step *step);
void cl_run_elementwise(const cl_run *run, const cl_step *step);
void cl_run_softmax(const cl_run *run, const cl_step *step);
void cl_run_move(const cl_run *run, const cl_step *step); /* what only moves numbers: concat, slice, pad ... */

/* One row of the output. */
void cl_run_conv_row(const cl_run *run, const cl_step *step, int32_t picture, int32_t y);
void cl_run_pointwise_row(const cl_run *run, const cl_step *step, int32_t y);
void cl_run_elementwise_row(const cl_run *run, const cl_step *step, int32_t y);

/* The activation of `count` numbers that the step has just stored, where it has one to be passed over them. */
void cl_run_activation(const cl_run *run, const cl_step *step, int64_t count, float *data);

/* Where the rows end that a step makes together with row y: of a depthwise convolution two, as they share input. */
static inline int32_t cl_rows_end(const cl_plan *plan, const cl_step *step, int32_t y) {
    return step->kind == CL_STEP_DEPTHWISE && y + 2 <= plan->values[step->output].height ? y + 2 : y + 1;
}

/* Rows y .. end-1 of the output, end as cl_rows_end has it. */
void cl_run_depthwise_rows(const cl_run *run, const cl_step *step, int32_t picture, int32_t y, int32_t end);

#endif
