#include "base/sync.h"

#include <errno.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

void cl_mutex_init(cl_mutex *mutex) { pthread_mutex_init(&mutex->own, NULL); }

void cl_mutex_destroy(cl_mutex *mutex) { pthread_mutex_destroy(&mutex->own); }

void cl_mutex_lock(cl_mutex *mutex) { pthread_mutex_lock(&mutex->own); }

void cl_mutex_unlock(cl_mutex *mutex) { pthread_mutex_unlock(&mutex->own); }

void cl_condition_init(cl_condition *condition) { pthread_cond_init(&condition->own, NULL); }

void cl_condition_destroy(cl_condition *condition) { pthread_cond_destroy(&condition->own); }

void cl_condition_signal(cl_condition *condition) { pthread_cond_signal(&condition->own); }

void cl_condition_broadcast(cl_condition *condition) { pthread_cond_broadcast(&condition->own); }

void cl_condition_wait(cl_condition *condition, cl_mutex *mutex) { pthread_cond_wait(&condition->own, &mutex->own); }

bool cl_condition_wait_until(cl_condition *condition, cl_mutex *mutex, int64_t moment) {
    const struct timespec until = {.tv_sec = (time_t)(moment / 1000000000), .tv_nsec = (long)(moment % 1000000000)};
    return pthread_cond_timedwait(&condition->own, &mutex->own, &until) != ETIMEDOUT;
}

int64_t cl_moment_in(double seconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now); /* by which conditions wait */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec + (int64_t)(seconds * 1e9);
}

void cl_call_once(cl_once *once, void (*work)(void)) { pthread_once(&once->own, work); }

int cl_thread_start(cl_thread *thread, void *(*work)(void *argument), void *argument) {
    cl_signals before;
    cl_signals_hold(&before);
    const int failed = pthread_create(&thread->own, NULL, work, argument);
    cl_signals_release(&before);
    return failed;
}

void cl_thread_join(cl_thread thread) { pthread_join(thread.own, NULL); }

void cl_beside_begin(cl_beside *b, void *(*work)(void *argument), void *argument) {
    b->running = cl_thread_start(&b->thread, work, argument) == 0;
    if (!b->running) work(argument);
}

void cl_beside_end(cl_beside *b) {
    if (b->running) cl_thread_join(b->thread);
    b->running = false;
}

void cl_thread_yield(void) { sched_yield(); }

void cl_signals_hold(cl_signals *before) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before->own);
}

void cl_signals_release(const cl_signals *before) { pthread_sigmask(SIG_SETMASK, &before->own, NULL); }

int64_t cl_process(void) { return (int64_t)getpid(); }
