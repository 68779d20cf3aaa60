/* Threads, and what keeps them out of each other's way: what the platform has for it, behind names of our own. */
#pragma once

#include <pthread.h>
#include <signal.h>

#include "base/base.h"

typedef struct cl_mutex {
    pthread_mutex_t own;
} cl_mutex;

typedef struct cl_condition {
    pthread_cond_t own;
} cl_condition;

typedef struct cl_once {
    pthread_once_t own;
} cl_once;

typedef struct cl_thread {
    pthread_t own;
} cl_thread;

#define CL_MUTEX_INIT {PTHREAD_MUTEX_INITIALIZER}
#define CL_ONCE_INIT {PTHREAD_ONCE_INIT}

void cl_mutex_init(cl_mutex *mutex);
void cl_mutex_destroy(cl_mutex *mutex);
void cl_mutex_lock(cl_mutex *mutex);
void cl_mutex_unlock(cl_mutex *mutex);

void cl_condition_init(cl_condition *condition);
void cl_condition_destroy(cl_condition *condition);
void cl_condition_signal(cl_condition *condition);
void cl_condition_broadcast(cl_condition *condition);

/* Gives the mutex back while waiting; may return without reason, so that callers look again. */
void cl_condition_wait(cl_condition *condition, cl_mutex *mutex);

/* The same, until a moment that cl_moment_in gave; false once it has passed. */
bool cl_condition_wait_until(cl_condition *condition, cl_mutex *mutex, int64_t moment);

/* The moment in so many seconds. */
int64_t cl_moment_in(double seconds);

/* Calls `work` if nobody has for this `once`, and returns when it is done. */
void cl_call_once(cl_once *once, void (*work)(void));

/* Starts a thread, to which no signal is given: those are for the program's own. 0, or the number of the error, which
 * strerror explains. */
int cl_thread_start(cl_thread *thread, void *(*work)(void *argument), void *argument);

/* Waits for its end. */
void cl_thread_join(cl_thread thread);

/* What a thread does while its owner goes on. */
typedef struct cl_beside {
    cl_thread thread;
    bool running; /* it has not been joined */
} cl_beside;

/* Does `work` on a thread, or here and now where none can be started. */
void cl_beside_begin(cl_beside *beside, void *(*work)(void *argument), void *argument);

/* Waits until it is done; nothing to wait for is fine. */
void cl_beside_end(cl_beside *beside);

/* Lets another thread have the processor. */
void cl_thread_yield(void);

/* For libraries that start threads of their own: those that this thread starts in between get no signals. */
typedef struct cl_signals {
    sigset_t own;
} cl_signals;

void cl_signals_hold(cl_signals *before);
void cl_signals_release(const cl_signals *before);

/* The number of this process: another one after fork. */
int64_t cl_process(void);
