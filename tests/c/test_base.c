#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/sized.h"
#include "base/sync.h"
#include "base/text.h"
#include "base/threads.h"
#include "test.h"

typedef struct tally {
    _Atomic int32_t calls[1000];
    _Atomic int32_t busy[64];
    _Atomic int32_t wrong;
} tally;

static void count_piece(void *context, int64_t piece, int32_t worker) {
    tally *t = context;
    if (atomic_fetch_add(&t->busy[worker], 1) != 0) atomic_fetch_add(&t->wrong, 1);
    atomic_fetch_add(&t->calls[piece], 1);
    atomic_fetch_sub(&t->busy[worker], 1);
}

static void every_piece_runs_once(void) {
    static const int32_t sizes[] = {1, 2, 3, 8};
    for (int s = 0; s < 4; s++) {
        cl_pool *pool = NULL;
        CHECK(cl_pool_create(sizes[s], &pool, NULL) == COULIS_OK);
        CHECK(cl_pool_threads(pool) == sizes[s]);
        for (int64_t pieces = 0; pieces <= 1000; pieces += 250) {
            static tally t;
            memset(&t, 0, sizeof t);
            cl_pool_run(pool, pieces, count_piece, &t);
            int wrong = 0;
            for (int64_t i = 0; i < 1000; i++) wrong += t.calls[i] != (i < pieces ? 1 : 0);
            CHECK_MSG(wrong == 0, "%d pieces of %d with %d threads", wrong, (int)pieces, sizes[s]);
            CHECK(t.wrong == 0);
        }
        cl_pool_free(pool);
    }
}

static void wrong_counts_are_refused(void) {
    coulis_error error;
    cl_pool *pool = NULL;
    CHECK(cl_pool_create(-1, &pool, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(cl_pool_create(100000, &pool, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(pool == NULL && strstr(error.message, "threads") != NULL);
    CHECK(cl_pool_create(0, &pool, &error) == COULIS_OK);
    CHECK(cl_pool_threads(pool) == coulis_core_count());
    cl_pool_free(pool);
    cl_pool_free(NULL);
}

static void allocation_is_checked(void) {
    CHECK(cl_alloc(SIZE_MAX / 2, 4) == NULL);
    CHECK(cl_alloc(SIZE_MAX, 1) == NULL);
    CHECK(cl_grow(NULL, SIZE_MAX / 4, 8) == NULL);
    char *memory = cl_alloc_zero(100, 1);
    CHECK(memory && (uintptr_t)memory % CL_ALIGNMENT == 0 && memory[99] == 0);
    cl_free(memory);
    cl_free(cl_alloc(0, 8));
    cl_test_fail_allocation(2);
    void *first = cl_alloc(1, 1);
    CHECK(first != NULL && cl_alloc(1, 1) == NULL && cl_alloc(1, 1) == NULL);
    cl_test_fail_allocation(0);
    cl_free(first);
}

static void messages_are_cut_between_characters(void) {
    coulis_error error;
    char text[1200];
    for (size_t i = 0; i < sizeof text - 1; i++) text[i] = "\xC3\xA9"[i % 2]; /* é */
    text[sizeof text - 1] = '\0';
    for (int shift = 0; shift < 2; shift++) {
        cl_fail(&error, COULIS_IO, "%.*s%s", shift, "x", text);
        size_t length = strlen(error.message);
        CHECK(length > 500 && length < sizeof error.message);
        CHECK((length - (size_t)shift) % 2 == 0);
    }
    CHECK(cl_fail(NULL, COULIS_IO, "nobody listens") == COULIS_IO);
}

static void utf8_is_repaired(void) {
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain", "plain"},
        {"pomme d\xE2\x80\x99\xC3\xA9t\xC3\xA9", "pomme d\xE2\x80\x99\xC3\xA9t\xC3\xA9"},
        {"caf\xE9.jpg", "caf\xEF\xBF\xBD.jpg"},                   /* Latin-1 */
        {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},                 /* overlong */
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, /* surrogate */
        {"\xF0\x9F\x8D\x8E", "\xF0\x9F\x8D\x8E"},                 /* an apple */
        {"\xF0\x9F", "\xEF\xBF\xBD\xEF\xBF\xBD"},                 /* cut short */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *copy = cl_utf8_copy(cases[i].in);
        CHECK_MSG(copy && strcmp(copy, cases[i].out) == 0, "case %zu", i);
        cl_free(copy);
    }
}

static void every_status_has_a_word(void) {
    for (int32_t status = 0; status <= COULIS_INTERNAL; status++)
        if (status <= COULIS_MISSING || status >= COULIS_INVALID_ARGUMENT)
            CHECK(strcmp(coulis_status_name(status), "unknown") != 0);
    CHECK(strcmp(coulis_status_name(COULIS_TOO_LARGE), "too_large") == 0);
    CHECK(strcmp(coulis_status_name(7), "unknown") == 0);
    CHECK(strcmp(coulis_status_name(-1), "unknown") == 0);
}

typedef struct past {
    size_t size;
    int32_t a, b;
} past;

typedef struct future {
    size_t size;
    int32_t a, b, c, d;
} future;

/* Callers of an older and of a newer header, with a library that knows `b` but not `c`. */
static void sized_structs_grow(void) {
    const past defaults = {.size = sizeof defaults, .a = 3, .b = 4};
    coulis_error error;
    union {
        past known;
        size_t older; /* a header in which nothing stood behind the size */
        future newer;
        unsigned char bytes[sizeof(future) + 8];
    } given;
    memset(&given, 0xA5, sizeof given);
    cl_sized_init(&given, sizeof given.older, &defaults, sizeof defaults);
    CHECK(given.older == sizeof given.older && given.bytes[sizeof(size_t)] == 0xA5);
    past own = defaults;
    CHECK(cl_sized_read(&given, "x", &own, sizeof own, &error) == COULIS_OK && own.a == 3 && own.b == 4);
    CHECK(cl_sized_write(&given, &own, sizeof own) && given.bytes[sizeof(size_t)] == 0xA5);

    cl_sized_init(&given, sizeof given.newer, &defaults, sizeof defaults);
    CHECK(given.newer.size == sizeof given.newer && given.newer.a == 3 && given.newer.c == 0 && given.newer.d == 0);
    CHECK(given.bytes[sizeof(future)] == 0xA5);
    given.newer.b = 9;
    CHECK(cl_sized_read(&given, "x", &own, sizeof own, &error) == COULIS_OK && own.b == 9 && own.size == sizeof own);
    given.newer.d = 1; /* an option that this library cannot do */
    CHECK(cl_sized_read(&given, "x_options", &own, sizeof own, &error) == COULIS_INVALID_ARGUMENT);
    CHECK_MSG(strstr(error.message, "x_options") && strstr(error.message, "does not know"), "%s", error.message);
    own.a = 7;
    CHECK(cl_sized_write(&given, &own, sizeof own) && given.newer.a == 7 && given.newer.d == 1);

    static const size_t wrong[] = {0, sizeof(size_t) - 1, SIZE_MAX, 5000};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        given.known.size = wrong[i];
        CHECK(cl_sized_read(&given, "x", &own, sizeof own, &error) == COULIS_INVALID_ARGUMENT);
        CHECK(strstr(error.message, "x_init") && !cl_sized_write(&given, &own, sizeof own));
        given.known.a = 11;
        cl_sized_init(&given, wrong[i], &defaults, sizeof defaults);
        CHECK(given.known.a == 11);
    }
    CHECK(cl_sized_read(NULL, "x", &own, sizeof own, NULL) == COULIS_OK && own.a == 7);
}

static _Atomic int calls;

static void count_call(void) { calls++; }

static void *call_once(void *once) {
    for (int i = 0; i < 100; i++) cl_call_once(once, count_call);
    return once;
}

/* Threads that ask at the same time have one call between them, and a wait that nobody ends ends by itself. */
static void threads_meet(void) {
    cl_once once = CL_ONCE_INIT;
    cl_thread threads[4];
    for (int i = 0; i < 4; i++) CHECK(cl_thread_start(&threads[i], call_once, &once) == 0);
    for (int i = 0; i < 4; i++) cl_thread_join(threads[i]);
    CHECK(calls == 1);

    cl_mutex mutex = CL_MUTEX_INIT;
    cl_condition condition;
    cl_condition_init(&condition);
    const int64_t began = cl_moment_in(0), until = cl_moment_in(0.05);
    CHECK(until > began && until - began < 10000000000);
    cl_mutex_lock(&mutex);
    while (cl_condition_wait_until(&condition, &mutex, until)) continue;
    cl_mutex_unlock(&mutex);
    CHECK(cl_moment_in(0) >= until);
    cl_condition_destroy(&condition);
    cl_mutex_destroy(&mutex);
}

/* A text that is none is not blamed where there is no memory to read it. */
static void json_is_told_from_memory(void) {
    bool short_of_memory;
    const char *end;
    cJSON *json = cl_json_parse("[1, 2] x", 8, &end, &short_of_memory);
    CHECK(cJSON_IsArray(json) && strcmp(end, " x") == 0 && !short_of_memory);
    cJSON_Delete(json);
    CHECK(!cl_json_parse("[1, 2", 5, NULL, &short_of_memory) && !short_of_memory);
    cl_test_fail_allocation(1);
    CHECK(!cl_json_parse("[1, 2", 5, NULL, &short_of_memory) && short_of_memory);
    cl_test_fail_allocation(0);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    RUN(every_piece_runs_once);
    RUN(wrong_counts_are_refused);
    RUN(allocation_is_checked);
    RUN(messages_are_cut_between_characters);
    RUN(utf8_is_repaired);
    RUN(every_status_has_a_word);
    RUN(sized_structs_grow);
    RUN(threads_meet);
    RUN(json_is_told_from_memory);
    return test_finish();
}
