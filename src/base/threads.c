#include "base/threads.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/sync.h"

/* More than any machine has; guards the worker array against a slip of a digit. */
#define THREADS_MAX 1024

/* Looks for what is waited for before a thread goes to sleep, some 50 us of them: waking it takes as long, and the next
 * job of a computation that comes in many short ones is there sooner. */
#define LOOKS 2000

typedef struct worker {
    cl_pool *pool;
    cl_thread thread;
    int32_t number;
} worker;

struct cl_pool {
    int32_t threads;
    int32_t started;
    int64_t process; /* in which they were started */
    worker *workers; /* workers[0] is the caller and has no thread */
    cl_mutex mutex;
    cl_condition begin, end;
    /* The current job; guarded by the mutex, except next_piece. The first two are looked at without it, too. */
    _Atomic uint64_t job_number;
    _Atomic int32_t busy;
    bool stopping;
    int64_t pieces;
    _Atomic int64_t next_piece;
    void (*work)(void *context, int64_t piece, int32_t worker);
    void *context;
};

int32_t coulis_core_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > THREADS_MAX ? THREADS_MAX : count;
}

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_pieces(cl_pool *pool, int32_t number) {
    for (;;) {
        int64_t piece = atomic_fetch_add(&pool->next_piece, 1);
        if (piece >= pool->pieces) return;
        pool->work(pool->context, piece, number);
    }
}

static void *worker_main(void *argument) {
    worker *self = argument;
    cl_pool *pool = self->pool;
    uint64_t seen = 0;
    for (;;) {
        for (int looks = 0; looks < LOOKS && atomic_load(&pool->job_number) == seen; looks++) relax();
        cl_mutex_lock(&pool->mutex);
        while (!pool->stopping && pool->job_number == seen) cl_condition_wait(&pool->begin, &pool->mutex);
        if (pool->stopping) {
            cl_mutex_unlock(&pool->mutex);
            return NULL;
        }
        seen = pool->job_number;
        cl_mutex_unlock(&pool->mutex);
        take_pieces(pool, self->number);
        cl_mutex_lock(&pool->mutex);
        if (--pool->busy == 0) cl_condition_signal(&pool->end);
        cl_mutex_unlock(&pool->mutex);
    }
}

/* Starts the threads in this process; returns the error of cl_thread_start and leaves as many as there are by then. */
static int start(cl_pool *pool) {
    cl_mutex_init(&pool->mutex);
    cl_condition_init(&pool->begin);
    cl_condition_init(&pool->end);
    pool->process = cl_process();
    pool->job_number = 0;
    pool->busy = 0;
    pool->started = 1;
    int failed = 0;
    for (int32_t i = 1; i < pool->threads && !failed; i++) {
        pool->workers[i] = (worker){.pool = pool, .number = i};
        failed = cl_thread_start(&pool->workers[i].thread, worker_main, &pool->workers[i]);
        if (!failed) pool->started++;
    }
    return failed;
}

coulis_status cl_pool_create(int32_t threads, cl_pool **out, coulis_error *error) {
    if (threads < 0 || threads > THREADS_MAX)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "threads must be 0 (all cores) to %d, not %d", THREADS_MAX,
                       threads);
    if (threads == 0) threads = coulis_core_count();
    cl_pool *pool = cl_alloc_zero(1, sizeof *pool);
    worker *workers = cl_alloc_zero((size_t)threads, sizeof *workers);
    if (!pool || !workers) {
        cl_free(pool);
        cl_free(workers);
        return cl_fail_memory(error, "threads", (size_t)threads * sizeof *workers);
    }
    pool->threads = threads;
    pool->workers = workers;
    int failed = start(pool);
    if (failed) {
        const int32_t started = pool->started;
        cl_pool_free(pool);
        return cl_fail(error, COULIS_NO_MEMORY, "thread %d of %d could not be started: %s", started + 1, threads,
                       strerror(failed));
    }
    *out = pool;
    return COULIS_OK;
}

void cl_pool_free(cl_pool *pool) {
    if (!pool) return;
    if (pool->process == cl_process()) {
        cl_mutex_lock(&pool->mutex);
        pool->stopping = true;
        cl_condition_broadcast(&pool->begin);
        cl_mutex_unlock(&pool->mutex);
        for (int32_t i = 1; i < pool->started; i++) cl_thread_join(pool->workers[i].thread);
        cl_condition_destroy(&pool->end);
        cl_condition_destroy(&pool->begin);
        cl_mutex_destroy(&pool->mutex);
    } /* Otherwise the threads are another process's, and so are those who wait for the conditions. */
    cl_free(pool->workers);
    cl_free(pool);
}

int32_t cl_pool_threads(const cl_pool *pool) { return pool->threads; }

void cl_pool_run(cl_pool *pool, int64_t pieces, void (*work)(void *context, int64_t piece, int32_t worker),
                 void *context) {
    if (pieces <= 0) return;
    /* After fork the child has none of the threads, and the locks as they were at that moment. Where it cannot start
     * threads of its own, fewer do the work, at least the caller. */
    if (pool->process != cl_process()) start(pool);
    cl_mutex_lock(&pool->mutex);
    pool->pieces = pieces;
    pool->work = work;
    pool->context = context;
    atomic_store(&pool->next_piece, 0);
    pool->busy = pool->started - 1;
    pool->job_number++;
    cl_condition_broadcast(&pool->begin);
    cl_mutex_unlock(&pool->mutex);
    take_pieces(pool, 0);
    for (int looks = 0; looks < LOOKS && atomic_load(&pool->busy) > 0; looks++) relax();
    cl_mutex_lock(&pool->mutex);
    while (pool->busy > 0) cl_condition_wait(&pool->end, &pool->mutex);
    cl_mutex_unlock(&pool->mutex);
}
