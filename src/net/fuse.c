/* Merges steps: a normalisation into the weights before it, an addition, clamp or activation into what writes its
 * operand. Only where nothing else reads that. */
#include <math.h>

#include "net/passes.h"

typedef struct fusion {
    cl_plan *plan;
    int32_t *readers; /* by value: how often it is read */
    int32_t *moved;   /* by value: the value that now holds the same, itself where nothing changed */
} fusion;

static bool has_activation(const cl_step *step) {
    return step->high != INFINITY || step->low != -INFINITY || step->activation.what != CL_ACTIVATION_NONE;
}

/* The step that writes `value`, when it has all of `flags`, nothing else reads the value, and nothing was passed over
 * it. */
static cl_step *sole_writer(const fusion *f, int32_t value, int32_t flags) {
    const int32_t writer = f->plan->values[value].writer;
    if (writer < 0 || f->readers[value] != 1) return NULL;
    cl_step *step = &f->plan->steps[writer];
    return (step->ops->flags & flags) == flags && !has_activation(step) ? step : NULL;
}

/* An addition goes to the later of its two operands' writers: the other is there by then. */
static cl_step *fuse_add(const fusion *f, const cl_step *step) {
    const cl_value *left = &f->plan->values[step->inputs[0]], *right = &f->plan->values[step->inputs[1]];
    if (left == right || left->height != right->height || left->width != right->width) return NULL;
    const int later = left->writer < right->writer;
    cl_step *writer = sole_writer(f, step->inputs[later], CL_STEP_ADDS);
    if (!writer || writer->residual >= 0 || writer->groups > 1) return NULL;
    writer->residual = step->inputs[!later];
    return writer;
}

static cl_step *fuse_norm(const fusion *f, const cl_step *step) {
    cl_step *writer = sole_writer(f, step->inputs[0], CL_STEP_FOLDS);
    if (!writer || writer->residual >= 0 || writer->norm) return NULL;
    writer->norm = step->node;
    return writer;
}

static cl_step *fuse_clamp(const fusion *f, const cl_step *step) {
    cl_step *writer = sole_writer(f, step->inputs[0], CL_STEP_CLAMPS);
    if (!writer) return NULL;
    writer->low = step->low;
    writer->high = step->high;
    return writer;
}

static cl_step *fuse_activation(const fusion *f, const cl_step *step) {
    cl_step *writer = sole_writer(f, step->inputs[0], CL_STEP_ACTIVATES);
    if (writer) writer->activation = step->activation;
    return writer;
}

/* The step that now does what `step` did; NULL when it stays. */
static cl_step *fuse(const fusion *f, const cl_step *step) {
    if (step->ops == &cl_step_arithmetic) return step->node->op == CL_OP_ADD ? fuse_add(f, step) : NULL;
    if (step->ops == &cl_step_activation) return fuse_activation(f, step);
    if (step->ops != &cl_step_scale) return NULL;
    return cl_is_norm(step->node) ? fuse_norm(f, step) : fuse_clamp(f, step);
}

/* Closes the gaps that fused steps left, in steps and values. */
static void close_gaps(fusion *f) {
    cl_plan *plan = f->plan;
    int32_t steps = 0, values = 1, *number = f->moved; /* the value's new number */
    for (int32_t s = 0; s < plan->step_count; s++) {
        cl_step *step = &plan->steps[s];
        if (!step->ops) continue;
        for (int32_t i = 0; i < step->input_count; i++) step->inputs[i] = number[step->inputs[i]];
        if (step->residual >= 0) step->residual = number[step->residual];
        plan->values[values] = plan->values[step->output];
        plan->values[values].writer = steps;
        number[step->output] = values;
        step->output = values++;
        plan->steps[steps++] = *step;
    }
    plan->output = number[plan->output];
    plan->step_count = steps;
    plan->value_count = values;
}

coulis_status cl_plan_fuse(cl_plan *plan, coulis_error *error) {
    const size_t count = (size_t)plan->value_count;
    fusion f = {.plan = plan,
                .readers = cl_alloc_zero(count, sizeof *f.readers),
                .moved = cl_alloc_zero(count, sizeof *f.moved)};
    coulis_status status = COULIS_OK;
    if (!f.readers || !f.moved) {
        status = cl_fail_memory(error, "the plan of the network", count * sizeof *f.moved);
    } else {
        f.readers[plan->output] = 1;
        for (int32_t v = 0; v < plan->value_count; v++) f.moved[v] = v;
        for (int32_t s = 0; s < plan->step_count; s++)
            for (int32_t i = 0; i < plan->steps[s].input_count; i++) f.readers[plan->steps[s].inputs[i]]++;
        for (int32_t s = 0; s < plan->step_count; s++) {
            cl_step *step = &plan->steps[s];
            for (int32_t i = 0; i < step->input_count; i++) step->inputs[i] = f.moved[step->inputs[i]];
            const cl_step *into = fuse(&f, step);
            if (!into) continue;
            f.moved[step->output] = into->output;
            f.readers[into->output] = f.readers[step->output];
            step->ops = NULL;
        }
        plan->output = f.moved[plan->output];
        close_gaps(&f);
    }
    cl_free(f.readers);
    cl_free(f.moved);
    return status;
}
