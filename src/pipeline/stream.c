#include "pipeline/stream.h"

#include <errno.h>

#include "base/sync.h"
#include "pipeline/slot.h"
#include "source/item.h"

/* Chunks in the making, so that the others find work while one thread has a large image. */
#define SLOTS 8
/* A disk answers while another request waits. A source whose items are on other machines asks for more. */
#define READERS 2
#define READERS_MAX 64
/* What an image of unknown size is taken for before any has been read. */
#define BYTES_EXPECTED ((int64_t)1 << 20)
/* Read ahead for each worker, and at most this many bytes altogether. */
#define QUEUE_PER_WORKER 8
#define QUEUE_BYTES ((size_t)64 << 20)

typedef struct queued {
    int64_t chunk, row; /* row within the chunk */
    void *bytes;        /* NULL when reading failed: the result already exists */
    size_t size;
} queued;

typedef struct thread {
    cl_stream *stream;
    cl_thread id;
    int32_t worker;
} thread;

struct cl_stream {
    const coulis_source *source;
    cl_stream_plan plan;
    coulis_featurizer *featurizer;
    int64_t length, max_bytes;
    thread *threads;
    int32_t started, readers, workers;

    cl_mutex mutex;
    cl_condition readable, workable, writable; /* for readers, workers, the caller */
    bool closing;
    bool halted;      /* nobody takes another item */
    int32_t working;  /* workers that have items in hand */
    bool taking;      /* a reader has the source to itself */
    bool ended;       /* there are no more items */
    int64_t next;     /* number of the next item */
    int64_t skip_to;  /* items before this one have been done by an earlier run */
    int64_t filling;  /* the chunk that the next item goes to */
    int64_t released; /* chunks released, from the first */
    queued *queue;    /* a ring */
    int64_t queue_capacity, queue_first, queue_count;
    int64_t reading;                   /* places in the queue that readers have taken but not filled */
    size_t queue_bytes, reading_bytes; /* of the latter: what their items are expected to have */
    int64_t read_count, read_bytes;    /* so far, by which that is guessed where the source does not know */
    cl_slot slots[SLOTS];
    cl_stream_counts counts;
    coulis_error fatal;
};

/* ---- readers ---- */

/* With the mutex held: whether a reader may take the next item. */
static bool may_read(const cl_stream *s) {
    return !s->ended && !s->halted && !s->taking && s->fatal.status == COULIS_OK && s->filling < s->released + SLOTS &&
           s->queue_count + s->reading < s->queue_capacity &&
           (s->queue_bytes + s->reading_bytes < QUEUE_BYTES || s->queue_count + s->reading == 0);
}

static void set_fatal(cl_stream *s, const coulis_error *error) {
    if (s->fatal.status == COULIS_OK) s->fatal = *error;
    cl_condition_signal(&s->writable);
}

/* Reads an item into `next`, or leaves it without bytes and says why in `result`. */
static void read_item(const cl_stream *s, coulis_item *item, coulis_result *result, queued *next) {
    if (s->source->read(s->source->context, item, s->max_bytes, &next->bytes, &next->size, &result->error) != COULIS_OK)
        next->bytes = NULL;
}

/* Takes the next item; *item.name stays NULL at the end. Items before *skip_to are done; *resumes: a part begins that
 * is not there as a whole, but some of its rows are. The source is this thread's alone, the mutex is not held. */
static coulis_status take_item(const cl_stream *s, int64_t number, int64_t *skip_to, bool *resumes, coulis_item *item,
                               coulis_error *error) {
    const int64_t rows = s->plan.rows_per_part;
    *item = (coulis_item){.size = sizeof *item, .bytes = -1, .modified = INT64_MIN};
    coulis_status status = s->source->next(s->source->context, item, error);
    if (status || !item->name) return status;
    if (number % rows == 0) {
        int64_t there = 0;
        bool whole = false;
        status = s->plan.rows_there(s->plan.context, number / rows, &there, &whole, error);
        if (status) return status;
        *skip_to = number + (whole ? rows : there);
        *resumes = !whole && there > 0;
    }
    return number < *skip_to ? COULIS_OK : cl_item_own_texts(item, s->source->column_count, error);
}

/* With the mutex held: the chunk that is being filled, opened for item `number` if need be. */
static cl_slot *open_chunk(cl_stream *s, int64_t number) {
    cl_slot *place = &s->slots[s->filling % SLOTS];
    if (!place->opened) {
        place->opened = true;
        place->part = number / s->plan.rows_per_part;
        place->first = number;
    }
    return place;
}

static void close_chunk(cl_stream *s) {
    s->slots[s->filling++ % SLOTS].closed = true;
    cl_condition_signal(&s->writable);
}

/* With the mutex held: gives the item its row, and closes the chunk when it is full. */
static queued place_item(cl_stream *s, int64_t number, const coulis_item *item) {
    cl_slot *place = open_chunk(s, number);
    queued next = {.chunk = s->filling, .row = place->rows++};
    place->items[next.row] = *item;
    place->results[next.row] = (coulis_result){0};
    place->sha256[next.row][0] = '\0';
    place->carried[next.row] = -1;
    place->finished[next.row] = false;
    place->left++;
    if (place->rows == s->plan.rows_per_chunk || (number + 1) % s->plan.rows_per_part == 0) close_chunk(s);
    return next;
}

/* With the mutex held: the source has given all it has. */
static void end_items(cl_stream *s) {
    s->ended = true;
    if (s->slots[s->filling % SLOTS].opened && !s->slots[s->filling % SLOTS].closed) close_chunk(s);
    cl_condition_signal(&s->writable);
}

/* With the mutex held: how many bytes an item will have, as far as one can tell before it is read. */
static size_t expected_bytes(const cl_stream *s, const coulis_item *item) {
    if (item->bytes >= 0) return (size_t)(item->bytes < s->max_bytes ? item->bytes : s->max_bytes);
    return (size_t)(s->read_count > 0 ? s->read_bytes / s->read_count : BYTES_EXPECTED);
}

/* One turn of a reader, with the mutex held at its beginning and end. Another reader is only woken for the time that
 * this one reads in: where there is nothing to read, this one takes the next item at once. */
static void read_next(cl_stream *s) {
    coulis_item item;
    coulis_error error = {0};
    bool resumes = false;
    const int64_t number = s->next;
    int64_t skip_to = s->skip_to, earlier = -1;
    s->taking = true;
    cl_mutex_unlock(&s->mutex);
    coulis_status status = take_item(s, number, &skip_to, &resumes, &item, &error);
    if (!status && item.name && number >= skip_to) earlier = cl_carry_find(&s->plan.carry, number, &item);
    cl_mutex_lock(&s->mutex);
    s->skip_to = skip_to;
    if (resumes) { /* an empty chunk, so that the caller takes what is there even when no row is missing */
        open_chunk(s, number);
        close_chunk(s);
    }
    if (status || !item.name || number < skip_to) {
        s->taking = false;
        if (status) set_fatal(s, &error);
        else if (!item.name) end_items(s);
        else s->next++, s->counts.skipped++;
        return;
    }
    queued next = place_item(s, number, &item);
    cl_slot *place = &s->slots[next.chunk % SLOTS];
    const size_t expected = expected_bytes(s, &item);
    s->next++;
    if (earlier >= 0) {
        place->carried[next.row] = earlier;
        cl_carry_take(&s->plan.carry, earlier, &place->results[next.row], place->sha256[next.row]);
        s->counts.skipped++;
        s->taking = false;
        place->finished[next.row] = true;
        if (--place->left == 0 && place->closed) cl_condition_signal(&s->writable);
        return;
    }
    s->reading++;
    s->reading_bytes += expected;
    if (!item.now) {
        s->taking = false;
        cl_condition_signal(&s->readable);
    }
    cl_mutex_unlock(&s->mutex);
    read_item(s, &place->items[next.row], &place->results[next.row], &next);
    cl_mutex_lock(&s->mutex);
    if (item.now) {
        s->taking = false;
        cl_condition_signal(&s->readable);
    }
    s->reading--;
    s->reading_bytes -= expected;
    s->read_count++;
    s->read_bytes += (int64_t)next.size;
    s->queue[(s->queue_first + s->queue_count++) % s->queue_capacity] = next;
    s->queue_bytes += next.size;
    cl_condition_signal(&s->workable);
}

static void *reader_main(void *argument) {
    cl_stream *s = ((thread *)argument)->stream;
    cl_mutex_lock(&s->mutex);
    for (;;) {
        while (!s->closing && !may_read(s)) cl_condition_wait(&s->readable, &s->mutex);
        if (s->closing) break;
        read_next(s);
    }
    cl_mutex_unlock(&s->mutex);
    return NULL;
}

/* ---- workers ---- */

/* With the mutex held: how many images a worker takes at once, leaving the others their share. */
static int32_t share(const cl_stream *s) {
    int64_t count = (s->queue_count + s->workers - 1) / s->workers;
    return count < CL_FEATURIZER_IMAGES ? (int32_t)count : CL_FEATURIZER_IMAGES;
}

/* Turns the items that were read into vectors. */
static void work_on(cl_stream *s, int32_t worker, const queued *items, int32_t count) {
    cl_featurizer_image images[CL_FEATURIZER_IMAGES];
    int32_t readable = 0;
    for (int32_t i = 0; i < count; i++) {
        cl_slot *place = &s->slots[items[i].chunk % SLOTS];
        if (!items[i].bytes) continue;
        cl_sha256_of(items[i].bytes, items[i].size, place->sha256[items[i].row]);
        place->carried[items[i].row] = cl_carry_hashed(&s->plan.carry, place->sha256[items[i].row],
                                                       &place->results[items[i].row]);
        if (place->carried[items[i].row] >= 0) continue;
        images[readable++] = (cl_featurizer_image){.name = place->items[items[i].row].name,
                                                   .bytes = items[i].bytes,
                                                   .size = items[i].size,
                                                   .values = place->vectors + items[i].row * s->length,
                                                   .result = &place->results[items[i].row]};
    }
    cl_featurizer_some(s->featurizer, worker, images, readable);
    for (int32_t i = 0; i < count; i++)
        if (items[i].bytes) s->source->release(s->source->context, items[i].bytes);
}

static void *worker_main(void *argument) {
    const thread *self = argument;
    cl_stream *s = self->stream;
    cl_mutex_lock(&s->mutex);
    for (;;) {
        while (!s->closing && (s->queue_count == 0 || s->halted)) cl_condition_wait(&s->workable, &s->mutex);
        if (s->closing) break;
        queued items[CL_FEATURIZER_IMAGES];
        int32_t count = share(s);
        for (int32_t i = 0; i < count; i++) {
            items[i] = s->queue[s->queue_first];
            s->queue_first = (s->queue_first + 1) % s->queue_capacity;
            s->queue_count--;
            s->queue_bytes -= items[i].size;
        }
        s->working++;
        cl_condition_broadcast(&s->readable);
        cl_mutex_unlock(&s->mutex);
        work_on(s, self->worker, items, count);
        cl_mutex_lock(&s->mutex);
        s->working--;
        for (int32_t i = 0; i < count; i++) {
            cl_slot *place = &s->slots[items[i].chunk % SLOTS];
            const coulis_error *error = &place->results[items[i].row].error;
            /* Running out of memory says nothing about the image: it ends the job instead of becoming a row. */
            if (error->status >= COULIS_INVALID_ARGUMENT) set_fatal(s, error);
            if (place->carried[items[i].row] >= 0) s->counts.skipped++;
            else s->counts.done++;
            if (error->status != COULIS_OK) s->counts.failed++;
            place->finished[items[i].row] = true;
            if (--place->left == 0 && place->closed) cl_condition_signal(&s->writable);
        }
    }
    cl_mutex_unlock(&s->mutex);
    return NULL;
}

/* ---- the caller ---- */

static coulis_status start_threads(cl_stream *s, coulis_error *error) {
    int failed = 0;
    for (int32_t i = 0; !failed && i < s->readers + s->workers; i++) {
        s->threads[i] = (thread){.stream = s, .worker = i - s->readers};
        failed = cl_thread_start(&s->threads[i].id, i < s->readers ? reader_main : worker_main, &s->threads[i]);
        if (!failed) s->started++;
    }
    if (!failed) return COULIS_OK;
    return cl_fail(error, COULIS_NO_MEMORY, "a thread could not be started: %s", strerror(failed));
}

static coulis_status make_room(cl_stream *s, coulis_error *error) {
    size_t vector_bytes, rows = (size_t)s->plan.rows_per_chunk;
    /* No slot that is sure to stay unused: a small job has one part, and one empty chunk when it resumes that. */
    int64_t chunks = s->source->count < 0 || s->source->count > s->plan.rows_per_part
                         ? SLOTS
                         : 2 + s->source->count / s->plan.rows_per_chunk;
    s->threads = cl_alloc_zero((size_t)(s->readers + s->workers), sizeof *s->threads);
    s->queue = cl_alloc_zero((size_t)s->queue_capacity, sizeof *s->queue);
    bool good = s->threads && s->queue && cl_mul_size((size_t)s->length, sizeof(float), &vector_bytes);
    for (int i = 0; good && i < SLOTS && i < chunks; i++) good = cl_slot_make(&s->slots[i], rows, vector_bytes);
    if (good) return COULIS_OK;
    return cl_fail(error, COULIS_NO_MEMORY, "not enough memory for %lld vectors of %lld dimensions",
                   (long long)s->plan.rows_per_chunk * SLOTS, (long long)s->length);
}

coulis_status cl_stream_create(const coulis_source *source, const cl_stream_plan *plan, coulis_featurizer *featurizer,
                               int32_t workers, int64_t max_bytes, cl_stream **out, coulis_error *error) {
    cl_stream *s = cl_alloc_zero(1, sizeof *s);
    if (!s) return cl_fail_memory(error, "a stream", sizeof *s);
    s->source = source;
    s->plan = *plan;
    s->featurizer = featurizer;
    s->length = coulis_featurizer_length(featurizer);
    s->max_bytes = max_bytes;
    s->workers = workers;
    s->readers = source->readers < 1 ? READERS : source->readers < READERS_MAX ? source->readers : READERS_MAX;
    s->queue_capacity = (int64_t)workers * QUEUE_PER_WORKER;
    if (s->queue_capacity < 2 * s->readers) s->queue_capacity = 2 * s->readers;
    cl_mutex_init(&s->mutex);
    cl_condition_init(&s->readable);
    cl_condition_init(&s->workable);
    cl_condition_init(&s->writable);
    coulis_status status = make_room(s, error);
    if (!status) status = start_threads(s, error);
    if (status) {
        cl_stream_free(s);
        return status;
    }
    *out = s;
    return COULIS_OK;
}

void cl_stream_free(cl_stream *s) {
    if (!s) return;
    cl_mutex_lock(&s->mutex);
    s->closing = true;
    if (s->reading > 0 && s->source->stop) s->source->stop(s->source->context);
    cl_condition_broadcast(&s->readable);
    cl_condition_broadcast(&s->workable);
    cl_mutex_unlock(&s->mutex);
    for (int32_t i = 0; i < s->started; i++) cl_thread_join(s->threads[i].id);
    for (int64_t i = 0; i < s->queue_count; i++) {
        void *bytes = s->queue[(s->queue_first + i) % s->queue_capacity].bytes;
        if (bytes) s->source->release(s->source->context, bytes);
    }
    for (int i = 0; i < SLOTS; i++) cl_slot_free(&s->slots[i]);
    cl_condition_destroy(&s->writable);
    cl_condition_destroy(&s->workable);
    cl_condition_destroy(&s->readable);
    cl_mutex_destroy(&s->mutex);
    cl_free(s->queue);
    cl_free(s->threads);
    cl_free(s);
}

/* With the mutex held: what the caller can have now. */
static cl_turn turn_of(const cl_stream *s) {
    const cl_slot *place = &s->slots[s->released % SLOTS];
    if (place->closed && place->left == 0) return CL_TURN_CHUNK;
    if (s->halted) return s->working > 0 ? CL_TURN_WAITING : cl_slot_finished(place) > 0 ? CL_TURN_CUT : CL_TURN_END;
    return s->ended && !place->opened ? CL_TURN_END : CL_TURN_WAITING;
}

coulis_status cl_stream_wait(cl_stream *s, cl_turn *turn, cl_chunk *chunk, cl_stream_counts *counts,
                             coulis_error *error) {
    const int64_t until = cl_moment_in(0.2);
    cl_mutex_lock(&s->mutex);
    while (turn_of(s) == CL_TURN_WAITING && s->fatal.status == COULIS_OK &&
           cl_condition_wait_until(&s->writable, &s->mutex, until)) {}
    const cl_slot *place = &s->slots[s->released % SLOTS];
    *turn = turn_of(s);
    *chunk = (cl_chunk){.part = place->part,
                        .first = place->first,
                        .items = place->items,
                        .rows = *turn == CL_TURN_CUT ? cl_slot_finished(place) : place->rows,
                        .sha256 = (const char (*)[CL_SHA256_TEXT])place->sha256,
                        .results = place->results,
                        .vectors = place->vectors,
                        .carried = place->carried};
    *counts = s->counts;
    coulis_error fatal = s->fatal;
    cl_mutex_unlock(&s->mutex);
    return fatal.status == COULIS_OK ? COULIS_OK : cl_fail(error, (coulis_status)fatal.status, "%s", fatal.message);
}

void cl_stream_halt(cl_stream *s) {
    cl_mutex_lock(&s->mutex);
    s->halted = true;
    cl_mutex_unlock(&s->mutex);
}

void cl_stream_release(cl_stream *s) {
    cl_slot *place = &s->slots[s->released % SLOTS];
    for (int64_t row = 0; row < place->rows; row++) cl_item_free_texts(&place->items[row]);
    cl_mutex_lock(&s->mutex);
    place->rows = 0;
    place->opened = place->closed = false;
    s->released++;
    cl_condition_broadcast(&s->readable);
    cl_mutex_unlock(&s->mutex);
}
