/* Runs a plan: one step after the other over one workspace. */
#include <string.h>

#include "base/memory.h"
#include "net/pack.h"
#include "net/plan.h"
#include "net/rows.h"
#include "net/steps.h"

static void normalize(const cl_plan *plan, const uint8_t *rgb, float *out) {
    int64_t pixels = (int64_t)plan->values[0].height * plan->values[0].width;
    int first = plan->bgr ? 2 : 0, last = 2 - first;
    for (int64_t i = 0; i < pixels; i++, rgb += 3, out += 3) {
        out[0] = plan->pixel[0][rgb[first]];
        out[1] = plan->pixel[1][rgb[1]];
        out[2] = plan->pixel[2][rgb[last]];
    }
}

static void run_step(const cl_run *run, const cl_step *step) {
    switch (step->kind) {
    case CL_STEP_CONV: cl_run_conv(run, step); break;
    case CL_STEP_WINOGRAD: cl_run_winograd(run, step); break;
    case CL_STEP_POINTWISE: cl_run_pointwise(run, step); break;
    case CL_STEP_DEPTHWISE: cl_run_depthwise(run, step); break;
    case CL_STEP_MAX_POOL:
    case CL_STEP_AVERAGE_POOL: cl_run_pool(run, step); break;
    case CL_STEP_SCALE:
    case CL_STEP_ACTIVATION:
    case CL_STEP_ARITHMETIC: cl_run_elementwise(run, step); break;
    case CL_STEP_SOFTMAX: cl_run_softmax(run, step); break;
    case CL_STEP_PICTURE:
    case CL_STEP_CONCAT:
    case CL_STEP_SLICE:
    case CL_STEP_SHUFFLE:
    case CL_STEP_PAD:
    case CL_STEP_FLATTEN: cl_run_move(run, step); break;
    }
    cl_run_activation(run, step, run->pictures * run->plan->values[step->output].size,
                      cl_value_data(run, step->output));
}

static void run_steps(const cl_run *run, int32_t first, int32_t end) {
    for (int32_t s = first; s < end;) {
        const cl_step *step = &run->plan->steps[s];
        if (step->stream_end > s) {
            cl_rows_run(run, s, step->stream_end);
            s = step->stream_end;
        } else {
            run_step(run, step);
            s++;
        }
    }
}

/* Copies the result of one picture, without the zeros that pad its channels. */
static void copy_result(const cl_run *run, int32_t picture, float *out) {
    const cl_value *result = &run->plan->values[run->plan->output];
    const float *data = run->workspace + result->offset + (result->together ? picture * result->size : 0);
    for (int64_t p = 0; p < (int64_t)result->height * result->width; p++)
        memcpy(out + p * result->channels, data + p * result->stride, (size_t)result->channels * sizeof *out);
}

void cl_plan_run(const cl_plan *plan, int32_t pictures, const uint8_t *const *rgb, float *workspace,
                 float *const *out) {
    for (int32_t p = 0; p < pictures; p++) {
        const cl_run one = {.plan = plan, .workspace = workspace, .first = p, .pictures = 1};
        normalize(plan, rgb[p], cl_value_data(&one, 0));
        run_steps(&one, 0, plan->split);
        if (plan->split == plan->step_count) copy_result(&one, p, out[p]);
    }
    if (plan->split == plan->step_count) return;
    const cl_run all = {.plan = plan, .workspace = workspace, .first = 0, .pictures = pictures};
    run_steps(&all, plan->split, plan->step_count);
    for (int32_t p = 0; p < pictures; p++) copy_result(&all, p, out[p]);
}
