/* The whole job in one process: threads, running out of memory, and stopping, under whatever sanitizer is built in. */
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "source/label.h"
#include "tiny.h"

static void threads_make_no_difference(void) {
    static const int32_t counts[] = {1, 2, 5};
    coulis_error error;
    for (int i = 0; i < 3; i++) {
        char name[32];
        coulis_job_options options = tiny_options(counts[i]);
        snprintf(name, sizeof name, "threads%d", counts[i]);
        CHECK_MSG(run_into(name, &options, &error) == COULIS_OK, "%s", error.message);
    }
    check_same("threads1", "threads2");
    check_same("threads1", "threads5");
}

typedef struct stopper {
    int64_t calls, stop_at;
} stopper;

static int32_t stop(void *context, const coulis_progress *progress) {
    stopper *s = context;
    (void)progress;
    return ++s->calls >= s->stop_at;
}

static void a_stopped_job_goes_on(void) {
    coulis_error error;
    coulis_status status;
    int stops = 0;
    do { /* each time it is stopped at its first report */
        stopper s = {.stop_at = 1};
        coulis_job_options options = tiny_options(2);
        options.progress = stop;
        options.context = &s;
        status = run_into("stopped", &options, &error);
        stops += status == COULIS_INTERRUPTED;
    } while (status == COULIS_INTERRUPTED && stops < 4);
    CHECK_MSG(stops == 4, "%d: %s", stops, error.message);
    coulis_job_options options = tiny_options(2);
    CHECK(run_into("stopped", &options, &error) == COULIS_OK);
    CHECK(run_into("threads1", &options, &error) == COULIS_OK); /* where this test runs alone, it is not there yet */
    check_same("threads1", "stopped");
}

/* Every allocation of the job is made to fail once: it must end with an error, and then go on to the same bytes. */
static void want_of_memory_is_an_error(void) {
    coulis_error error;
    int failures = 0;
    for (int64_t n = 1; n < 100000; n += 1 + n / 40) {
        coulis_job_options options = tiny_options(2);
        cl_test_fail_allocation(n);
        coulis_status status = run_into("memory", &options, &error);
        cl_test_fail_allocation(0);
        if (status == COULIS_OK) break;
        CHECK_MSG(error.status != COULIS_OK && error.message[0], "allocation %d", (int)n);
        failures++;
    }
    CHECK(failures > 20);
    check_same("threads1", "memory");
}

static void labels_are_folders(void) {
    static const struct {
        const char *path, *label;
    } cases[] = {{"a/b/c.jpg", "b"}, {"c.jpg", ""},    {"/c.jpg", ""},
                 {"b/c.jpg", "b"},   {"a//c.jpg", ""}, {"../c.jpg", ".."}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length;
        cl_label_rule rule;
        CHECK(cl_label_rule_read(NULL, &rule, NULL) == COULIS_OK);
        const char *label = cl_label_of(&rule, cases[i].path, 0, &length);
        CHECK_MSG(length == strlen(cases[i].label) && memcmp(label, cases[i].label, length) == 0, "%s", cases[i].path);
    }
}

static void options_are_checked(void) {
    coulis_error error;
    coulis_job_options options = tiny_options(1);
    options.size = 3;
    CHECK(run_into("x", &options, &error) == COULIS_INVALID_ARGUMENT);
    options = tiny_options(1);
    options.rows_per_file = 0;
    CHECK(run_into("x", &options, &error) == COULIS_INVALID_ARGUMENT);
    options = tiny_options(1);
    options.components = 2.5;
    CHECK(run_into("x", &options, &error) == COULIS_INVALID_ARGUMENT);
    options = tiny_options(1);
    coulis_featurizer_options featurizer;
    coulis_featurizer_options_init(&featurizer, sizeof featurizer);
    options.featurizer = &featurizer;
    featurizer.features = COULIS_FEATURES_LOGITS;
    CHECK(run_into("x", &options, &error) == COULIS_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "has no logits") != NULL);
    CHECK(coulis_job_run(NULL, 0, "x", &options, NULL, NULL, &error) == COULIS_INVALID_ARGUMENT);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    if (!set_up()) {
        printf("cannot make files in %s\n0 passed, 1 failed, 0 skipped\n", folder);
        return 1;
    }
    RUN(threads_make_no_difference);
    RUN(a_stopped_job_goes_on);
    RUN(want_of_memory_is_an_error);
    RUN(labels_are_folders);
    RUN(options_are_checked);
    remove_all(folder);
    return test_finish();
}
