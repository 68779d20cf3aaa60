#include "net/rows.h"

#include <stddef.h>

/* How far each of the steps first .. end-1 is, that run together. Without a run nothing is computed, but the rows in
 * use are counted. */
typedef struct progress {
    const cl_plan *plan;
    const cl_run *run;
    int32_t first, end;
    int32_t done[CL_STREAMED_MAX]; /* rows that the step has made */
    int32_t kept[CL_STREAMED_MAX]; /* rows of its output that were in use at a time */
} progress;

static void make_rows(progress *p, int32_t s, int32_t end);

/* Makes rows first .. end-1 of `value` be there. */
static void need_rows(progress *p, int32_t value, int32_t first, int32_t end) {
    int32_t writer = value - 1; /* value v is written by step v - 1 */
    if (writer < p->first) return; /* it is there as a whole */
    make_rows(p, writer, end);
    const int32_t done = p->done[writer - p->first];
    if (done - first > p->kept[writer - p->first]) p->kept[writer - p->first] = done - first;
}

/* Row y of a map, or the one row of a vector that meets every pixel. */
static void need_row(progress *p, int32_t value, int32_t y) {
    const int32_t row = p->plan->values[value].height > 1 ? y : 0;
    need_rows(p, value, row, row + 1);
}

static bool has_window(cl_step_kind kind) { return kind == CL_STEP_CONV || kind == CL_STEP_DEPTHWISE; }

static bool can_stream(cl_step_kind kind) {
    return has_window(kind) || kind == CL_STEP_POINTWISE || kind == CL_STEP_SCALE || kind == CL_STEP_ACTIVATION ||
           kind == CL_STEP_ARITHMETIC;
}

/* Rows y .. next-1, which the step makes together. */
static void run_rows(const cl_run *run, const cl_step *step, int32_t y, int32_t next) {
    switch (step->kind) {
    case CL_STEP_CONV: cl_run_conv_row(run, step, 0, y); break;
    case CL_STEP_DEPTHWISE: cl_run_depthwise_rows(run, step, 0, y, next); break;
    case CL_STEP_POINTWISE: cl_run_pointwise_row(run, step, y); break;
    default: cl_run_elementwise_row(run, step, y); break;
    }
    const cl_value *out = &run->plan->values[step->output];
    for (; y < next; y++) cl_run_activation(run, step, out->width * out->stride, cl_value_row(run, step->output, y));
}

/* Makes the rows of step `s` up to `end`, each after the rows it is made from. */
static void make_rows(progress *p, int32_t s, int32_t end) {
    const cl_step *step = &p->plan->steps[s];
    const cl_value *in = &p->plan->values[step->input];
    int32_t *done = &p->done[s - p->first];
    while (*done < end) {
        const int32_t y = *done;
        const int32_t next = cl_rows_end(p->plan, step, y);
        if (has_window(step->kind)) {
            const cl_window *w = &step->node->window;
            const int32_t top = y * w->stride[0] - w->pad_before[0];
            const int32_t bottom = top + (next - 1 - y) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1;
            need_rows(p, step->input, top < 0 ? 0 : top, bottom > in->height ? in->height : bottom);
        } else {
            need_row(p, step->input, y);
        }
        if (step->other >= 0) need_row(p, step->other, y);
        if (p->run) run_rows(p->run, step, y, next);
        *done = next;
    }
}

/* Makes everything that is read after these steps. */
static void make_all(progress *p) {
    for (int32_t s = p->first; s < p->end; s++) {
        const cl_value *out = &p->plan->values[p->plan->steps[s].output];
        if (out->last_use >= p->end) make_rows(p, s, out->height);
    }
}

void cl_rows_plan(cl_plan *plan) {
    for (int32_t first = 0, end; first < plan->split; first = end > first ? end : first + 1) {
        int32_t depthwise = 0;
        for (end = first; end < plan->split && end - first < CL_STREAMED_MAX; end++) {
            if (!can_stream(plan->steps[end].kind)) break;
            depthwise += plan->steps[end].kind == CL_STEP_DEPTHWISE;
        }
        /* Without depthwise convolutions no map is widened, and whole maps make larger products. */
        if (depthwise == 0) continue;
        progress p = {.plan = plan, .first = first, .end = end};
        make_all(&p);
        for (int32_t s = first; s < end; s++) {
            plan->steps[s].stream_end = end;
            cl_value *out = &plan->values[plan->steps[s].output];
            if (out->last_use < end) out->rows = p.kept[s - first];
            out->size = (int64_t)out->rows * out->width * out->stride;
        }
    }
}

void cl_rows_run(const cl_run *run, int32_t first, int32_t end) {
    progress p = {.plan = run->plan, .run = run, .first = first, .end = end};
    make_all(&p);
}
