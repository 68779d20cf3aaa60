/* Where the maps of a plan lie in its workspace, and which steps run picture by picture. */
#include "base/error.h"
#include "base/memory.h"
#include "net/pack.h"
#include "net/plan.h"
#include "net/rows.h"

/* 16 GiB of workspace a thread: no network in use comes near. */
#define WORKSPACE_MAX ((int64_t)1 << 32)

static int64_t pixels_of(const cl_plan *plan, int32_t value) {
    return (int64_t)plan->values[value].height * plan->values[value].width;
}

/* Numbers that `value` takes in the workspace, in whole cache lines. */
static int64_t room_for(const cl_value *value) {
    int64_t count = value->size * (value->together ? CL_PLAN_PICTURES : 1);
    int64_t unit = CL_ALIGNMENT / (int64_t)sizeof(float);
    return (count + unit - 1) / unit * unit;
}

/* Finds from which step on all maps are small. */
static void find_split(cl_plan *plan) {
    plan->split = plan->step_count;
    while (plan->split > 0) {
        const cl_step *step = &plan->steps[plan->split - 1];
        if (pixels_of(plan, step->input) > CL_TOGETHER_PIXELS_MAX) break;
        if (pixels_of(plan, step->output) > CL_TOGETHER_PIXELS_MAX) break;
        plan->split--;
    }
}

/* The last step before which the place of `value` must not be taken: steps that are streamed run at the same time. */
static int32_t kept_until(const cl_plan *plan, const cl_value *value) {
    if (value->last_use >= plan->step_count) return value->last_use;
    const cl_step *reader = &plan->steps[value->last_use];
    return reader->stream_end > 0 ? reader->stream_end - 1 : value->last_use;
}

coulis_status cl_plan_lay_out(cl_plan *plan, coulis_error *error) {
    for (int32_t s = 0; s < plan->step_count; s++) {
        const cl_step *step = &plan->steps[s];
        plan->values[step->input].last_use = s;
        if (step->other >= 0) plan->values[step->other].last_use = s;
        for (int32_t i = 0; i < step->more_count; i++) plan->values[step->more[i]].last_use = s;
    }
    plan->values[plan->output].last_use = plan->step_count;
    find_split(plan);
    cl_rows_plan(plan);
    int64_t end = 0;
    for (int32_t v = 0; v < plan->value_count; v++) {
        cl_value *value = &plan->values[v];
        int32_t born = v - 1; /* value v is written by step v - 1 */
        value->together = value->last_use >= plan->split;
        /* What is kept of the pictures before must stay while the first part runs for the next: it may not share a
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
        int64_t needed = cl_step_scratch_count(plan, &plan->steps[s]);
        if (needed > scratch) scratch = needed;
    }
    plan->scratch_offset = end;
    plan->workspace_count = end + scratch;
    return COULIS_OK;
}
