#include "net/rows.h"

#include <stddef.h>

/* How far each streamed step is. Without a run nothing is computed, but the rows in use are counted. */
typedef struct progress {
    const cl_plan *plan;
    const cl_run *run;
    int32_t done[CL_STREAMED_MAX]; /* rows that the step has made */
    int32_t kept[CL_STREAMED_MAX]; /* rows of its output that were in use at a time */
} progress;

static void make_rows(progress *p, int32_t s, int32_t end);

/* Makes rows first .. end-1 of `value` be there. */
static void need_rows(progress *p, int32_t value, int32_t first, int32_t end) {
    int32_t writer = value - 1; /* value v is written by step v - 1; the picture is there */
    if (writer < 0) return;
    make_rows(p, writer, end);
    if (p->done[writer] - first > p->kept[writer]) p->kept[writer] = p->done[writer] - first;
}

/* Makes the rows of step `s` up to `end`, each after the rows it is made from. */
static void make_rows(progress *p, int32_t s, int32_t end) {
    const cl_step *step = &p->plan->steps[s];
    const cl_value *in = &p->plan->values[step->input], *out = &p->plan->values[step->output];
    while (p->done[s] < end) {
        const int32_t y = p->done[s];
        const int32_t next = step->kind == CL_STEP_DEPTHWISE && y + 2 <= out->height ? y + 2 : y + 1;
        int32_t first = y, last = next;
        if (step->kind != CL_STEP_POINTWISE) {
            const cl_window *w = &step->node->window;
            first = y * w->stride[0] - w->pad_before[0];
            last = (next - 1) * w->stride[0] - w->pad_before[0] + (w->kernel[0] - 1) * w->dilation[0] + 1;
            if (first < 0) first = 0;
            if (last > in->height) last = in->height;
        }
        need_rows(p, step->input, first, last);
        if (step->other >= 0) need_rows(p, step->other, y, next);
        if (p->run) {
            if (step->kind == CL_STEP_CONV) cl_run_conv_row(p->run, step, 0, y);
            else if (step->kind == CL_STEP_POINTWISE) cl_run_pointwise_row(p->run, step, y);
            else cl_run_depthwise_rows(p->run, step, 0, y);
        }
        p->done[s] = next;
    }
}

/* Makes everything that is read after the streamed steps. */
static void make_all(progress *p) {
    const cl_plan *plan = p->plan;
    for (int32_t s = 0; s < plan->streamed; s++) {
        const cl_value *out = &plan->values[plan->steps[s].output];
        if (out->last_use >= plan->streamed) make_rows(p, s, out->height);
    }
}

void cl_rows_plan(cl_plan *plan) {
    int32_t s = 0, depthwise = 0;
    for (; s < plan->split && s < CL_STREAMED_MAX; s++) {
        cl_step_kind kind = plan->steps[s].kind;
        if (kind != CL_STEP_CONV && kind != CL_STEP_POINTWISE && kind != CL_STEP_DEPTHWISE) break;
        depthwise += kind == CL_STEP_DEPTHWISE;
    }
    /* Without depthwise convolutions no map is widened, and whole maps make larger products. */
    plan->streamed = depthwise > 0 ? s : 0;
    progress p = {.plan = plan};
    make_all(&p);
    for (s = 0; s < plan->streamed; s++) {
        cl_value *out = &plan->values[plan->steps[s].output];
        if (out->last_use < plan->streamed) out->rows = p.kept[s];
        out->size = (int64_t)out->rows * out->width * out->stride;
    }
}

void cl_rows_run(const cl_run *run) {
    progress p = {.plan = run->plan, .run = run};
    make_all(&p);
}
