/* Working through steps line by line: each makes a line when the next one asks for it, so that a widened map (expand,
 * depthwise, project) is never there as a whole but only as the few lines in use, in the cache. */
#include "net/passes.h"

/* Steps that run line by line together at most: far more than there are before a network's maps get small. */
#define STREAMED_MAX 64

/* How far each of the steps first .. end-1 is, that run together. Without a run nothing is computed, but the lines in
 * use are counted. */
typedef struct progress {
    const cl_plan *plan;
    const cl_run *run;
    int32_t first, end;
    int32_t done[STREAMED_MAX]; /* lines that the step has made */
    int32_t kept[STREAMED_MAX]; /* lines of its output that were in use at a time */
} progress;

static void make_lines(progress *p, int32_t s, int32_t end);

/* Makes lines first .. end-1 of `value` be there. */
static void need_lines(progress *p, int32_t value, int32_t first, int32_t end) {
    const int32_t writer = p->plan->values[value].writer;
    if (writer < p->first) return; /* it is there as a whole */
    make_lines(p, writer, end);
    const int32_t done = p->done[writer - p->first];
    if (done - first > p->kept[writer - p->first]) p->kept[writer - p->first] = done - first;
}

/* Line y of a map, or the only one of a vector that meets every row. */
static void need_line(progress *p, int32_t value, int32_t y) {
    const int32_t line = p->plan->values[value].height > 1 ? y : 0;
    need_lines(p, value, line, line + 1);
}

/* Makes the lines of step `s` up to `end`, each after the lines it is made from. */
static void make_lines(progress *p, int32_t s, int32_t end) {
    const cl_step *step = &p->plan->steps[s];
    const cl_value *in = cl_step_input(p->plan, step), *out = cl_step_output(p->plan, step);
    int32_t *done = &p->done[s - p->first];
    while (*done < end) {
        const int32_t y = *done, together = step->ops->lines_together;
        const int32_t next = together > 0 && y + together <= out->height ? y + together : y + 1;
        if (step->ops->flags & CL_STEP_WINDOW) {
            const cl_window *w = &step->node->window;
            const int32_t top = y * w->stride[0] - w->pad_before[0];
            const int32_t bottom = top + (next - 1 - y) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1;
            need_lines(p, step->inputs[0], top < 0 ? 0 : top, bottom > in->height ? in->height : bottom);
        } else {
            for (int32_t i = 0; i < step->input_count; i++) need_line(p, step->inputs[i], y);
        }
        if (step->residual >= 0) need_line(p, step->residual, y);
        if (p->run) {
            step->ops->run_lines(p->run, step, y, next);
            for (int32_t line = y; !(step->ops->flags & CL_STEP_ACTIVE) && line < next; line++)
                cl_activate(p->run, step, out->width * out->stride, cl_value_line(p->run, step->output, line));
        }
        *done = next;
    }
}

/* Makes everything that is read after these steps. */
static void make_all(progress *p) {
    for (int32_t s = p->first; s < p->end; s++) {
        const cl_value *out = &p->plan->values[p->plan->steps[s].output];
        if (out->last_use >= p->end) make_lines(p, s, out->height);
    }
}

void cl_plan_stream(cl_plan *plan) {
    for (int32_t first = 0, end; first<plan->split; first = end> first ? end : first + 1) {
        bool worthwhile = false;
        for (end = first; end < plan->split && end - first < STREAMED_MAX; end++) {
            const cl_step_ops *ops = plan->steps[end].ops;
            if (!ops->run_lines) break;
            worthwhile = worthwhile || ops->flags & CL_STEP_STREAMS;
        }
        /* Without depthwise convolutions no map is widened, and whole maps make larger products. */
        if (!worthwhile) continue;
        progress p = {.plan = plan, .first = first, .end = end};
        make_all(&p);
        for (int32_t s = first; s < end; s++) {
            plan->steps[s].stream_end = end;
            cl_value *out = &plan->values[plan->steps[s].output];
            if (out->last_use < end) out->lines = p.kept[s - first];
            out->size = (int64_t)out->lines * out->width * out->stride;
        }
    }
}

void cl_stream_run(const cl_run *run, int32_t first, int32_t end) {
    progress p = {.plan = run->plan, .run = run, .first = first, .end = end};
    make_all(&p);
}
