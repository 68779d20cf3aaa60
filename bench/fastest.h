/* How long something takes at best. */
#pragma once

#include <time.h>

/* Of this thread alone: what other programs do on the machine shows in the caches, but not as time that passed. */
static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of one call of work(context): the fastest of 60 runs of at least 2 ms, which fit between the interruptions
 * that a busy machine makes. */
static inline double fastest(void (*work)(void *context), void *context) {
    double best = 1e9;
    long calls = 1;
    for (int round = 0; round < 60;) {
        double began = now();
        for (long i = 0; i < calls; i++) work(context);
        double took = now() - began;
        if (took < 0.002) {
            calls *= 2;
            continue;
        }
        if (took / (double)calls < best) best = took / (double)calls;
        round++;
    }
    return best;
}
