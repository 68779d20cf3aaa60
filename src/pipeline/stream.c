#include "pipeline/stream.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"

/* Chunks in the making, so that the others find work while one thread has a large image. */
#define SLOTS 8
/* A disk or network answers while another request waits; more readers only matter on slow storage. */
#define READERS 2
/* Read ahead for each worker, and at most this many bytes altogether. */
#define QUEUE_PER_WORKER 8
#define QUEUE_BYTES ((size_t)64 << 20)

typedef struct item {
    int64_t chunk, row; /* row within the chunk */
    uint8_t *bytes;     /* NULL when reading failed: the result is there already */
    size_t size;
} item;

typedef struct slot {
    float *vectors;
    coulis_result *results;
    cl_origin *origins;
    int64_t left; /* rows not finished */
} slot;

typedef struct thread {
    cl_stream *stream;
    pthread_t id;
    int32_t worker;
} thread;

struct cl_stream {
    const cl_list *list;
    const cl_chunk *chunks;
    int64_t chunk_count;
    coulis_featurizer *featurizer;
    int64_t length, max_bytes;
    thread *threads;
    int32_t started, workers;

    pthread_mutex_t mutex;
    pthread_cond_t readable, workable, writable; /* for readers, workers, the caller */
    bool closing;
    int64_t next_chunk, next_row; /* to be read */
    int64_t released;             /* chunks given back, from the first */
    item *queue;                  /* a ring */
    int64_t queue_capacity, queue_first, queue_count;
    int64_t reading; /* places in the queue that readers have taken but not filled */
    size_t queue_bytes;
    slot slots[SLOTS];
    int64_t done, failed;
    coulis_error fatal;
};

/* With the mutex held: whether a reader may begin the next file. */
static bool may_read(const cl_stream *s) {
    return s->next_chunk < s->chunk_count && s->next_chunk < s->released + SLOTS &&
           s->queue_count + s->reading < s->queue_capacity &&
           (s->queue_bytes < QUEUE_BYTES || s->queue_count + s->reading == 0);
}

static void *reader_main(void *argument) {
    cl_stream *s = ((thread *)argument)->stream;
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        while (!s->closing && !may_read(s)) pthread_cond_wait(&s->readable, &s->mutex);
        if (s->closing) break;
        item next = {.chunk = s->next_chunk, .row = s->next_row++};
        if (s->next_row == s->chunks[s->next_chunk].rows) {
            s->next_chunk++;
            s->next_row = 0;
        }
        s->reading++;
        pthread_mutex_unlock(&s->mutex);

        coulis_result *result = &s->slots[next.chunk % SLOTS].results[next.row];
        cl_origin *origin = &s->slots[next.chunk % SLOTS].origins[next.row];
        *result = (coulis_result){0};
        *origin = (cl_origin){0};
        const char *path = cl_list_path(s->list, s->chunks[next.chunk].first + next.row);
        if (cl_image_read_file(path, s->max_bytes, &next.bytes, &next.size, &origin->state, &result->error) !=
            COULIS_OK)
            next.bytes = NULL;

        pthread_mutex_lock(&s->mutex);
        s->reading--;
        s->queue[(s->queue_first + s->queue_count++) % s->queue_capacity] = next;
        s->queue_bytes += next.size;
        pthread_cond_signal(&s->workable);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* With the mutex held: how many pictures a worker takes at once, leaving the others their share. */
static int32_t share(const cl_stream *s) {
    int64_t count = (s->queue_count + s->workers - 1) / s->workers;
    return count < CL_FEATURIZER_PICTURES ? (int32_t)count : CL_FEATURIZER_PICTURES;
}

static void hash(const item *read, char text[CL_SHA256_TEXT]) {
    cl_sha256 sum;
    cl_sha256_begin(&sum);
    cl_sha256_add(&sum, read->bytes, read->size);
    cl_sha256_end(&sum, text);
}

/* Turns the items that were read into vectors. */
static void work_on(cl_stream *s, int32_t worker, const item *items, int32_t count) {
    cl_picture pictures[CL_FEATURIZER_PICTURES];
    int32_t readable = 0;
    for (int32_t i = 0; i < count; i++) {
        slot *place = &s->slots[items[i].chunk % SLOTS];
        if (!items[i].bytes) continue;
        hash(&items[i], place->origins[items[i].row].sha256);
        pictures[readable++] = (cl_picture){
            .name = cl_list_path(s->list, s->chunks[items[i].chunk].first + items[i].row),
            .bytes = items[i].bytes, .size = items[i].size, .values = place->vectors + items[i].row * s->length,
            .result = &place->results[items[i].row]};
    }
    cl_featurizer_some(s->featurizer, worker, pictures, readable);
    for (int32_t i = 0; i < count; i++) cl_free(items[i].bytes);
}

static void *worker_main(void *argument) {
    const thread *self = argument;
    cl_stream *s = self->stream;
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        while (!s->closing && s->queue_count == 0) pthread_cond_wait(&s->workable, &s->mutex);
        if (s->closing) break;
        item items[CL_FEATURIZER_PICTURES];
        int32_t count = share(s);
        for (int32_t i = 0; i < count; i++) {
            items[i] = s->queue[s->queue_first];
            s->queue_first = (s->queue_first + 1) % s->queue_capacity;
            s->queue_count--;
            s->queue_bytes -= items[i].size;
        }
        pthread_cond_broadcast(&s->readable);
        pthread_mutex_unlock(&s->mutex);
        work_on(s, self->worker, items, count);
        pthread_mutex_lock(&s->mutex);
        for (int32_t i = 0; i < count; i++) {
            slot *place = &s->slots[items[i].chunk % SLOTS];
            const coulis_error *error = &place->results[items[i].row].error;
            /* Want of memory is no property of a picture: it ends the job instead of becoming a row. */
            if (error->status >= COULIS_INVALID_ARGUMENT && s->fatal.status == COULIS_OK) s->fatal = *error;
            s->done++;
            if (error->status != COULIS_OK) s->failed++;
            if (--place->left == 0 || s->fatal.status != COULIS_OK) pthread_cond_signal(&s->writable);
        }
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

static coulis_status start_threads(cl_stream *s, coulis_error *error) {
    /* Signals go to the program's own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    for (int32_t i = 0; !failed && i < READERS + s->workers; i++) {
        s->threads[i] = (thread){.stream = s, .worker = i - READERS};
        failed = pthread_create(&s->threads[i].id, NULL, i < READERS ? reader_main : worker_main, &s->threads[i]);
        if (!failed) s->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed) return COULIS_OK;
    return cl_fail(error, COULIS_NO_MEMORY, "a thread could not be started: %s", strerror(failed));
}

static coulis_status make_room(cl_stream *s, int64_t chunk_rows, coulis_error *error) {
    size_t vector_bytes, rows = (size_t)chunk_rows;
    s->threads = cl_alloc_zero((size_t)(READERS + s->workers), sizeof *s->threads);
    s->queue = cl_alloc_zero((size_t)s->queue_capacity, sizeof *s->queue);
    bool good = s->threads && s->queue && cl_mul_size((size_t)s->length, sizeof(float), &vector_bytes);
    for (int i = 0; good && i < SLOTS && i < s->chunk_count; i++) {
        s->slots[i].vectors = cl_alloc(rows, vector_bytes);
        s->slots[i].results = cl_alloc_zero(rows, sizeof *s->slots[i].results);
        s->slots[i].origins = cl_alloc_zero(rows, sizeof *s->slots[i].origins);
        s->slots[i].left = s->chunks[i].rows;
        good = s->slots[i].vectors && s->slots[i].results && s->slots[i].origins;
    }
    if (good) return COULIS_OK;
    return cl_fail(error, COULIS_NO_MEMORY, "not enough memory for %lld vectors of %lld numbers",
                   (long long)chunk_rows * SLOTS, (long long)s->length);
}

coulis_status cl_stream_create(const cl_list *list, const cl_chunk *chunks, int64_t count, int64_t chunk_rows,
                               coulis_featurizer *featurizer, int32_t workers, int64_t max_bytes, cl_stream **out,
                               coulis_error *error) {
    cl_stream *s = cl_alloc_zero(1, sizeof *s);
    if (!s) return cl_fail_memory(error, "a stream", sizeof *s);
    s->list = list;
    s->chunks = chunks;
    s->chunk_count = count;
    s->featurizer = featurizer;
    s->length = coulis_featurizer_length(featurizer);
    s->max_bytes = max_bytes;
    s->workers = workers;
    s->queue_capacity = (int64_t)workers * QUEUE_PER_WORKER;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->readable, NULL);
    pthread_cond_init(&s->workable, NULL);
    pthread_cond_init(&s->writable, NULL);
    coulis_status status = make_room(s, chunk_rows, error);
    if (status == COULIS_OK) status = start_threads(s, error);
    if (status != COULIS_OK) {
        cl_stream_free(s);
        return status;
    }
    *out = s;
    return COULIS_OK;
}

void cl_stream_free(cl_stream *s) {
    if (!s) return;
    pthread_mutex_lock(&s->mutex);
    s->closing = true;
    pthread_cond_broadcast(&s->readable);
    pthread_cond_broadcast(&s->workable);
    pthread_mutex_unlock(&s->mutex);
    for (int32_t i = 0; i < s->started; i++) pthread_join(s->threads[i].id, NULL);
    for (int64_t i = 0; i < s->queue_count; i++) cl_free(s->queue[(s->queue_first + i) % s->queue_capacity].bytes);
    for (int i = 0; i < SLOTS; i++) {
        cl_free(s->slots[i].vectors);
        cl_free(s->slots[i].results);
        cl_free(s->slots[i].origins);
    }
    pthread_cond_destroy(&s->writable);
    pthread_cond_destroy(&s->workable);
    pthread_cond_destroy(&s->readable);
    pthread_mutex_destroy(&s->mutex);
    cl_free(s->queue);
    cl_free(s->threads);
    cl_free(s);
}

coulis_status cl_stream_wait(cl_stream *s, int64_t number, bool *ready, coulis_result **results,
                             const cl_origin **origins, const float **vectors, int64_t *done, int64_t *failed,
                             coulis_error *error) {
    slot *place = &s->slots[number % SLOTS];
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 200000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&s->mutex);
    while (place->left > 0 && s->fatal.status == COULIS_OK &&
           pthread_cond_timedwait(&s->writable, &s->mutex, &until) != ETIMEDOUT) {
    }
    *ready = place->left == 0;
    *results = place->results;
    *origins = place->origins;
    *vectors = place->vectors;
    *done = s->done;
    *failed = s->failed;
    coulis_error fatal = s->fatal;
    pthread_mutex_unlock(&s->mutex);
    return fatal.status == COULIS_OK ? COULIS_OK : cl_fail(error, (coulis_status)fatal.status, "%s", fatal.message);
}

void cl_stream_release(cl_stream *s, int64_t number) {
    pthread_mutex_lock(&s->mutex);
    s->released = number + 1;
    if (number + SLOTS < s->chunk_count) s->slots[number % SLOTS].left = s->chunks[number + SLOTS].rows;
    pthread_cond_broadcast(&s->readable);
    pthread_mutex_unlock(&s->mutex);
}
