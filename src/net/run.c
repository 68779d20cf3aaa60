/* Runs a plan: one step after the other over one workspace. */
#include "net/passes.h"

static void normalize(const cl_plan *plan, const uint8_t *rgb, float *out) {
    const int64_t pixels = plan->values[0].rows;
    int first = plan->bgr ? 2 : 0, last = 2 - first;
    for (int64_t i = 0; i < pixels; i++, rgb += 3, out += 3) {
        out[0] = plan->pixel[0][rgb[first]];
        out[1] = plan->pixel[1][rgb[1]];
        out[2] = plan->pixel[2][rgb[last]];
    }
}

void cl_run_rows(const cl_run *run, const cl_step *step) {
    step->ops->rows(run, step, cl_step_output(run->plan, step)->rows * run->images, cl_value_data(run, step->inputs[0]),
                    cl_value_data(run, step->output));
}

void cl_run_row_lines(const cl_run *run, const cl_step *step, int32_t y, int32_t end) {
    for (; y < end; y++)
        step->ops->rows(run, step, cl_step_output(run->plan, step)->width, cl_value_line(run, step->inputs[0], y),
                        cl_value_line(run, step->output, y));
}

static void run_step(const cl_run *run, const cl_step *step) {
    step->ops->run(run, step);
    if (!(step->ops->flags & CL_STEP_ACTIVE))
        cl_activate(run, step, run->images * cl_step_output(run->plan, step)->size, cl_value_data(run, step->output));
}

static void run_steps(const cl_run *run, int32_t first, int32_t end) {
    for (int32_t s = first; s < end;) {
        const cl_step *step = &run->plan->steps[s];
        if (step->stream_end > s) {
            cl_stream_run(run, s, step->stream_end);
            s = step->stream_end;
        } else {
            run_step(run, step);
            s++;
        }
    }
}

/* Copies the result of one image, without the zeros that pad its channels. */
static void copy_result(const cl_run *run, int32_t image, float *out) {
    const cl_value *result = &run->plan->values[run->plan->output];
    const float *data = run->workspace + result->offset + (result->together ? image * result->size : 0);
    for (int64_t p = 0; p < result->rows; p++)
        memcpy(out + p * result->channels, data + p * result->stride, (size_t)result->channels * sizeof *out);
}

void cl_plan_run(const cl_plan *plan, int32_t images, const uint8_t *const *rgb, float *workspace, float *const *out) {
    for (int32_t p = 0; p < images; p++) {
        const cl_run one = {.plan = plan, .workspace = workspace, .first = p, .images = 1};
        normalize(plan, rgb[p], cl_value_data(&one, 0));
        run_steps(&one, 0, plan->split);
        if (plan->split == plan->step_count) copy_result(&one, p, out[p]);
    }
    if (plan->split == plan->step_count) return;
    const cl_run all = {.plan = plan, .workspace = workspace, .first = 0, .images = images};
    run_steps(&all, plan->split, plan->step_count);
    for (int32_t p = 0; p < images; p++) copy_result(&all, p, out[p]);
}
