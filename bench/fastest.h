/* How long something takes at best. */
#ifndef CL_BENCH_FASTEST_H
#define CL_BENCH_FASTEST_H

#include <time.h>

static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of one call of work(context): the fastest of some runs of at least 20 ms. */
static inline double fastest(void (*work)(void *context), void *context) {
    double best = 1e9;
    long calls = 1;
    for (int round = 0; round < 7;) {
        double began = now();
        for (long i = 0; i < calls; i++) work(context);
        double took = now() - began;
        if (took < 0.02) {
            calls *= 2;
            continue;
        }
        if (took / (double)calls < best) best = took / (double)calls;
        round++;
    }
    return best;
}

#endif
