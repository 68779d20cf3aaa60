/* A small test harness: every check is counted, none stops the others.
 *
 *   static void adds(void) { CHECK(1 + 1 == 2); }
 *   int main(int argc, char **argv) { test_start(argc, argv); RUN(adds); return test_finish(); }
 *
 * An argument names the tests to run: those whose names contain it. test_finish prints
 * "N passed, N failed, N skipped", counted in tests, as the last line. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *test_only = "";
static int test_passed, test_failed, test_skipped, test_checks_failed, test_is_skipped;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            test_checks_failed++;                                                                                      \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                           \
        }                                                                                                              \
    } while (0)

/* The same with a printf-style explanation. */
#define CHECK_MSG(condition, ...)                                                                                      \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            test_checks_failed++;                                                                                      \
            printf("%s:%d: not true: %s: ", __FILE__, __LINE__, #condition);                                           \
            printf(__VA_ARGS__);                                                                                       \
            printf("\n");                                                                                              \
        }                                                                                                              \
    } while (0)

#define SKIP(reason)                                                                                                   \
    do {                                                                                                               \
        printf("skipped: %s\n", reason);                                                                               \
        test_is_skipped = 1;                                                                                           \
        return;                                                                                                        \
    } while (0)

#define RUN(test) test_run(test, #test)

static inline void test_start(int argc, char **argv) {
    if (argc > 1) test_only = argv[1];
}

/* In the tests before each commit: fewer cases of what takes long. */
static inline int test_is_quick(void) { return getenv("COULIS_TEST_QUICK") != NULL; }

/* Whether arithmetic takes ten times as long, in an emulator or under a sanitizer; tests/c runs without them, too. */
static inline int test_is_slow(void) { return getenv("COULIS_TEST_SLOW") != NULL; }

static inline void test_run(void (*test)(void), const char *name) {
    if (!strstr(name, test_only)) return;
    test_checks_failed = 0;
    test_is_skipped = 0;
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    test();
    clock_gettime(CLOCK_MONOTONIC, &ended);
    if (test_checks_failed) test_failed++;
    else if (test_is_skipped) test_skipped++;
    else test_passed++;
    printf("%s %s  %.2f s\n",
           test_checks_failed ? "FAILED"
           : test_is_skipped  ? "skipped"
                              : "ok    ",
           name, (double)(ended.tv_sec - began.tv_sec) + 1e-9 * (double)(ended.tv_nsec - began.tv_nsec));
    fflush(stdout);
}

static inline int test_finish(void) {
    printf("%d passed, %d failed, %d skipped\n", test_passed, test_failed, test_skipped);
    return test_failed ? 1 : 0;
}
