/* Progress on stderr, and stopping on Ctrl-C. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "system.h"

/* 75 as "1:15", 3675 as "1:01:15". */
static void format_duration(double seconds, char *text, size_t capacity) {
    long whole = seconds < 0 || seconds > 1e8 ? 0 : (long)(seconds + 0.5);
    if (whole >= 3600) snprintf(text, capacity, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else snprintf(text, capacity, "%ld:%02ld", whole / 60, whole % 60);
}

/* "featurize  1200/5000 (24 %)  85.1 images/s  0:45 left  3 failed", over the line before. */
static void draw(const coulis_progress *p) {
    const bool images = p->stage == COULIS_STAGE_LIST || p->stage == COULIS_STAGE_FEATURIZE;
    fprintf(stderr, "\r%-9s  %lld", coulis_option_word("stage", p->stage), (long long)p->done);
    if (p->total >= 0)
        fprintf(stderr, "/%lld (%.0f %%)", (long long)p->total,
                p->total > 0 ? 100.0 * (double)p->done / (double)p->total : 100.0);
    const double made = (double)(p->done - p->resumed); /* what an earlier run did says nothing about the rate */
    if (made > 0 && p->seconds > 0) {
        const double rate = made / p->seconds;
        char left[32];
        format_duration((double)(p->total - p->done) / rate, left, sizeof left);
        fprintf(stderr, "  %.1f %s/s", rate, images ? "images" : "rows");
        if (p->total >= 0) fprintf(stderr, "  %s left", left);
    }
    if (p->failed > 0) fprintf(stderr, "  %lld failed", (long long)p->failed);
    fputs("\033[K", stderr); /* what a longer line before left behind */
    fflush(stderr);
}

static int32_t on_progress(void *context, const coulis_progress *p) {
    cli_progress *own = context;
    if (own->bar) {
        if (own->drawn && own->stage != p->stage) fputc('\n', stderr);
        own->stage = p->stage;
        own->drawn = true;
        draw(p);
    }
    return cli_interrupted();
}

static void on_plan(void *context, const coulis_plan *plan) {
    cli_progress *own = context;
    char text[200];
    if (own->plan) *own->plan = *plan;
    if (own->plan || own->quiet) return;
    if (own->drawn) fputc('\n', stderr);
    own->drawn = false;
    cli_plan_text(plan, text, sizeof text);
    fprintf(stderr, "%s\n", text);
}

void cli_progress_begin(cli_progress *progress, const cli_options *options, coulis_job_options *job) {
    const char *terminal = getenv("TERM");
    *progress = (cli_progress){.bar = !options->quiet && !options->no_progress && cli_errors_are_seen() && terminal &&
                                      terminal[0] != 'd' /* dumb */,
                               .quiet = options->quiet};
    job->progress = on_progress;
    job->plan = on_plan;
    job->context = progress;
    cli_catch_interrupt();
}

void cli_progress_end(cli_progress *progress) {
    if (progress->drawn) fputc('\n', stderr);
}
