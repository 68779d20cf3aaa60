/* A small test harness: every check is counted, none stops the others.
 *
 *   static void adds(void) { CHECK(1 + 1 == 2); }
 *   int main(void) { RUN(adds); return test_finish(); }
 *
 * test_finish prints "N passed, N failed, N skipped", counted in tests, as the last line. */
#ifndef CL_TEST_H
#define CL_TEST_H

#include <stdio.h>

static int test_passed, test_failed, test_skipped, test_checks_failed, test_is_skipped;

#define CHECK(condition)                                                                     \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            test_checks_failed++;                                                            \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                 \
        }                                                                                    \
    } while (0)

/* The same with a printf-style explanation. */
#define CHECK_MSG(condition, ...)                                                            \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            test_checks_failed++;                                                            \
            printf("%s:%d: not true: %s: ", __FILE__, __LINE__, #condition);                 \
            printf(__VA_ARGS__);                                                             \
            printf("\n");                                                                    \
        }                                                                                    \
    } while (0)

#define SKIP(reason)                                                                         \
    do {                                                                                     \
        printf("skipped: %s\n", reason);                                                     \
        test_is_skipped = 1;                                                                 \
        return;                                                                              \
    } while (0)

#define RUN(test)                                                                            \
    do {                                                                                     \
        test_checks_failed = 0;                                                              \
        test_is_skipped = 0;                                                                 \
        test();                                                                              \
        if (test_checks_failed) test_failed++;                                               \
        else if (test_is_skipped) test_skipped++;                                            \
        else test_passed++;                                                                  \
        printf("%s %s\n", test_checks_failed ? "FAILED" : test_is_skipped ? "skipped" : "ok    ", #test); \
    } while (0)

static inline int test_finish(void) {
    printf("%d passed, %d failed, %d skipped\n", test_passed, test_failed, test_skipped);
    return test_failed ? 1 : 0;
}

#endif
