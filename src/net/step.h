/* What a kind of step is: one cl_step_ops for each, in a file of its own in steps/. */
#pragma once

#include "net/plan.h"

/* One pass over steps: for one image before the split, for all after it. */
typedef struct cl_run {
    const cl_plan *plan;
    float *workspace;
    int32_t first;  /* the image whose share of a `together` value is meant */
    int32_t images; /* worked on together from there */
} cl_run;

/* Values of at most this many rows are worked on for all images together: maps of 14x14 and 7x7, where the weights of a
 * layer outweigh its numbers. */
#define CL_TOGETHER_ROWS_MAX 256
/* The same of sequences, whose products have four times as many channels and more: up to 32 x 32 patches. */
#define CL_TOGETHER_TOKENS_MAX 1100

typedef enum cl_step_flag {
    CL_STEP_FOLDS = 1,     /* a normalisation may go into its weights */
    CL_STEP_ADDS = 2,      /* it can add a residual to its result */
    CL_STEP_CLAMPS = 4,    /* it keeps its result between `low` and `high` */
    CL_STEP_ACTIVATES = 8, /* an activation may be passed over its result */
    CL_STEP_ACTIVE = 16,   /* ... which it does itself */
    CL_STEP_WINDOW = 32,   /* a line of its result is made from the lines in its node's window, else from one */
    CL_STEP_STREAMS = 64,  /* it is worth working line by line for */
    CL_STEP_BY_ROW = 128   /* a row of its result is made from the same row of its inputs */
} cl_step_flag;

struct cl_step_ops {
    int32_t flags; /* of cl_step_flag */
    /* Of steps that run some convolutions better than cl_step_conv: whether it can run this one. */
    bool (*accepts)(const cl_graph *graph, const cl_node *node);
    /* Sets its parameters, beyond the node's; NULL for none. */
    void (*lower)(const cl_plan *plan, cl_step *step);
    /* Fills weights and bias, with the normalisation step->norm folded in; NULL: it has none. */
    coulis_status (*pack)(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error);
    /* Numbers of scratch memory it needs to run; NULL for none. */
    int64_t (*scratch)(const cl_plan *plan, const cl_step *step);
    /* Of steps whose `run` and `run_lines` are those below: `count` rows. */
    void (*rows)(const cl_run *run, const cl_step *step, int64_t count, const float *in, float *out);
    void (*run)(const cl_run *run, const cl_step *step);
    /* Lines y .. end-1 of the result of one image, at most lines_together of them; NULL: it can't be streamed. */
    void (*run_lines)(const cl_run *run, const cl_step *step, int32_t y, int32_t end);
    int32_t lines_together; /* that share input; 0: one */
};

/* Of steps that make each row of the result from the same row of their one input. */
void cl_run_rows(const cl_run *run, const cl_step *step);
void cl_run_row_lines(const cl_run *run, const cl_step *step, int32_t y, int32_t end);

/* Those of the operators, and special convolutions. */
#define CL_DECLARE_STEP(op, name, least, most, fields, step, ...) extern const cl_step_ops cl_step_##step;
CL_OPERATORS(CL_DECLARE_STEP)
extern const cl_step_ops cl_step_depthwise, cl_step_winograd;

/* Whether the node gives each channel a factor and a term, which the weights before it can take. */
static inline bool cl_is_norm(const cl_node *node) { return node->op == CL_OP_BATCH_NORM || node->op == CL_OP_SCALE; }

/* The value that the step reads, and the one it writes. */
static inline const cl_value *cl_step_input(const cl_plan *plan, const cl_step *step) {
    return &plan->values[step->inputs[0]];
}
static inline const cl_value *cl_step_output(const cl_plan *plan, const cl_step *step) {
    return &plan->values[step->output];
}

/* The numbers of a value, those of image `first` and on. */
static inline float *cl_value_data(const cl_run *run, int32_t value) {
    const cl_value *v = &run->plan->values[value];
    return run->workspace + v->offset + (v->together ? run->first * v->size : 0);
}

/* Zeros for what pads the channels of the first `rows` rows of `value`. */
static inline void cl_clear_padding(int64_t rows, const cl_value *value, float *out) {
    const size_t room = (size_t)(value->stride - value->channels) * sizeof *out;
    for (int64_t r = 0; room > 0 && r < rows; r++) memset(out + r * value->stride + value->channels, 0, room);
}

/* Line y of a map of image `first`. */
static inline float *cl_value_line(const cl_run *run, int32_t value, int64_t y) {
    const cl_value *v = &run->plan->values[value];
    return cl_value_data(run, value) + y % v->lines * v->width * v->stride;
}

static inline float *cl_scratch(const cl_run *run) { return run->workspace + run->plan->scratch_offset; }

/* What is added to the step's result, NULL for none: all of it, and line y. */
static inline const float *cl_residual_data(const cl_run *run, const cl_step *step) {
    return step->residual >= 0 ? cl_value_data(run, step->residual) : NULL;
}
static inline const float *cl_residual_line(const cl_run *run, const cl_step *step, int32_t y) {
    return step->residual >= 0 ? cl_value_line(run, step->residual, y) : NULL;
}

/* The activation of `count` numbers that the step has just stored, if it has one. */
static inline void cl_activate(const cl_run *run, const cl_step *step, int64_t count, float *data) {
    if (step->activation.what != CL_ACTIVATION_NONE) run->plan->kernels->activate(&step->activation, count, data, data);
}
