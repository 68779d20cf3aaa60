/* Where the values of a plan are in its workspace, and which steps run image by image.
 *
 * Steps before `split` work on large maps and run image by image. From there on maps are small and weights large, and
 * up to CL_PLAN_IMAGES images go through each step together, so that the weights are fetched once for all. */
#include "net/passes.h"

/* 16 GiB of workspace a thread: no network in use comes near. */
#define WORKSPACE_MAX ((int64_t)1 << 32)

/* Numbers that `value` takes in the workspace, in whole cache lines. */
static int64_t room_for(const cl_value *value) {
    int64_t count = value->size * (value->together ? CL_PLAN_IMAGES : 1);
    int64_t unit = CL_ALIGNMENT / (int64_t)sizeof(float);
    return (count + unit - 1) / unit * unit;
}

static bool is_small(const cl_value *value) {
    return value->rows <= (value->width == 1 ? CL_TOGETHER_TOKENS_MAX : CL_TOGETHER_ROWS_MAX);
}

/* Finds from which step on all values are small. */
static void find_split(cl_plan *plan) {
    plan->split = plan->step_count;
    while (plan->split > 0) {
        const cl_step *step = &plan->steps[plan->split - 1];
        if (!is_small(cl_step_input(plan, step)) || !is_small(cl_step_output(plan, step))) break;
        plan->split--;
    }
}

/* The last step before which the place of `value` must not be taken: streamed steps run at the same time. */
static int32_t kept_until(const cl_plan *plan, const cl_value *value) {
    if (value->last_use >= plan->step_count) return value->last_use;
    const cl_step *reader = &plan->steps[value->last_use];
    return reader->stream_end > 0 ? reader->stream_end - 1 : value->last_use;
}

coulis_status cl_plan_lay_out(cl_plan *plan, coulis_error *error) {
    for (int32_t s = 0; s < plan->step_count; s++) {
        const cl_step *step = &plan->steps[s];
        for (int32_t i = 0; i < step->input_count; i++) plan->values[step->inputs[i]].last_use = s;
        if (step->residual >= 0) plan->values[step->residual].last_use = s;
    }
    plan->values[plan->output].last_use = plan->step_count;
    find_split(plan);
    cl_plan_stream(plan);
    int64_t end = 0;
    for (int32_t v = 0; v < plan->value_count; v++) {
        cl_value *value = &plan->values[v];
        int32_t born = value->writer;
        value->together = value->last_use >= plan->split;
        /* What is kept of the images before must stay while the first part runs for the next: it may not share a
         * place with anything of that part. */
        if (value->together && born < plan->split) born = -1;
        int64_t offset = 0, size = room_for(value);
        for (bool moved = true; moved;) {
            moved = false;
            for (int32_t u = 0; u < v; u++) {
                const cl_value *other = &plan->values[u];
                if (kept_until(plan, other) < born || other->offset >= offset + size ||
                    other->offset + room_for(other) <= offset)
                    continue;
                offset = other->offset + room_for(other);
                moved = true;
            }
        }
        value->offset = offset;
        if (offset + size > end) end = offset + size;
        if (end > WORKSPACE_MAX) return cl_fail(error, COULIS_BAD_MODEL, "the network needs too much memory to run");
    }
    int64_t scratch = 0;
    for (int32_t s = 0; s < plan->step_count; s++) {
        const cl_step *step = &plan->steps[s];
        const int64_t needed = step->ops->scratch ? step->ops->scratch(plan, step) : 0;
        if (needed > scratch) scratch = needed;
    }
    if (scratch > WORKSPACE_MAX) return cl_fail(error, COULIS_BAD_MODEL, "the network needs too much memory to run");
    plan->scratch_offset = end;
    plan->workspace_count = end + scratch;
    return COULIS_OK;
}
