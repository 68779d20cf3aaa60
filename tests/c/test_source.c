/* A source of the caller's own: images in memory, through the job and the featurizer; and every way it can go wrong. */
#include <stdatomic.h>

#include "table/part.h"
#include "table/table.h"
#include "tiny.h"

/* What the source under test does at its item `at`. */
typedef enum fault {
    NONE,
    READ_UNREADABLE, /* a status of an image, with a sentence */
    READ_SILENT,     /* the same without one */
    READ_UNKNOWN,    /* a number that is not a status */
    READ_IO,         /* a fault of the machine */
    READ_NOTHING,    /* no bytes */
    READ_NOWHERE,    /* some bytes at no address */
    READ_TOO_MUCH,   /* more than was asked for */
    NEXT_IO,
    NEXT_SILENT,
    NEXT_TOO_FEW,
    NEXT_TOO_MANY
} fault;

typedef struct memory {
    uint8_t *bytes[IMAGES];
    size_t sizes[IMAGES];
    int64_t at;
    int32_t now; /* items must be read in turn */
    fault fault;
    int64_t fault_at;
    int64_t first; /* items before it may not be read */
    char name[64], label[32], number[32];
    const char *values[2];
    atomic_int held, closed, read; /* bytes given out and not released */
    uint8_t *pending;
} memory;

static const char *const columns[] = {"number", "empty"};
static memory shared; /* the images, loaded once */

static int load_all(void) {
    for (int i = 0; i < IMAGES; i++) {
        char path[400];
        snprintf(path, sizeof path, "%s/%02d.png", images, i);
        if (cl_file_read(path, 1 << 20, &shared.bytes[i], &shared.sizes[i], NULL) != COULIS_OK) return 0;
    }
    return 1;
}

static coulis_status say(coulis_error *error, coulis_status status, const char *sentence) {
    error->status = (int32_t)status;
    snprintf(error->message, sizeof error->message, "%s", sentence);
    return status;
}

static coulis_status next(void *context, coulis_item *item, coulis_error *error) {
    memory *m = context;
    const int64_t at = m->at++, end = m->fault == NEXT_TOO_FEW    ? IMAGES - 1
                                      : m->fault == NEXT_TOO_MANY ? IMAGES + 1
                                                                  : IMAGES;
    if (m->fault == NEXT_IO && at == m->fault_at) return say(error, COULIS_IO, "the cable was pulled");
    if (m->fault == NEXT_SILENT && at == m->fault_at) return COULIS_BAD_DATA;
    if (at >= end) return COULIS_OK;
    /* The texts are written over each time: they need only last until the next call. */
    snprintf(m->name, sizeof m->name, "memory/%02d", (int)at);
    snprintf(m->label, sizeof m->label, "label %d", (int)(at % 3));
    snprintf(m->number, sizeof m->number, "%d", (int)at);
    m->values[0] = m->number;
    m->values[1] = NULL;
    item->name = m->name;
    item->label = at % 2 ? m->label : NULL;
    item->values = m->values;
    item->bytes = 7;
    item->modified = 1500000000000000;
    item->key = at;
    item->now = m->now;
    return COULIS_OK;
}

static coulis_status read_bytes(void *context, coulis_item *item, int64_t max_bytes, void **bytes, size_t *byte_count,
                                coulis_error *error) {
    memory *m = context;
    const int64_t at = item->key % IMAGES;
    const fault now = at == m->fault_at ? m->fault : NONE;
    if (item->key < m->first) return say(error, COULIS_INTERNAL, "read again what was there");
    m->read++;
    if (now == READ_UNREADABLE) return say(error, COULIS_UNREADABLE, "torn in two");
    if (now == READ_SILENT) return COULIS_UNREADABLE;
    if (now == READ_UNKNOWN) return (coulis_status)77;
    if (now == READ_IO) return say(error, COULIS_IO, "the cable was pulled");
    *byte_count = now == READ_NOTHING ? 0 : now == READ_TOO_MUCH ? (size_t)max_bytes + 1 : m->sizes[at];
    if (now == READ_NOTHING || now == READ_NOWHERE) return COULIS_OK;
    void *copy = malloc(m->sizes[at]);
    if (!copy) return say(error, COULIS_NO_MEMORY, "memory is short");
    memcpy(copy, m->bytes[at], m->sizes[at]);
    item->bytes = (int64_t)m->sizes[at];
    m->held++;
    *bytes = copy;
    return COULIS_OK;
}

static void release(void *context, void *bytes) {
    memory *m = context;
    free(bytes);
    m->held--;
}

static void close_memory(void *context) { ((memory *)context)->closed++; }

static coulis_source source_of(memory *m) {
    memcpy(m->bytes, shared.bytes, sizeof m->bytes);
    memcpy(m->sizes, shared.sizes, sizeof m->sizes);
    return (coulis_source){.size = sizeof(coulis_source),
                           .context = m,
                           .count = IMAGES,
                           .columns = columns,
                           .column_count = 2,
                           .identity = "images in memory",
                           .next = next,
                           .read = read_bytes,
                           .release = release,
                           .close = close_memory};
}

static coulis_status run_source(const char *name, const coulis_source *source, coulis_job_result *result,
                                coulis_error *error) {
    char output[400];
    coulis_job_options options = tiny_options(3);
    options.source = source;
    snprintf(output, sizeof output, "%s/%s", folder, name);
    coulis_job_result_init(result, sizeof *result);
    return coulis_job_run(NULL, 0, output, &options, result, NULL, error);
}

/* All rows of a result; the caller closes the table. */
static cl_table *open_result(const char *name) {
    char path[400];
    cl_table *table = NULL;
    coulis_error error;
    snprintf(path, sizeof path, "%s/%s/features", folder, name);
    CHECK_MSG(cl_table_open(path, "features", &table, &error) == COULIS_OK, "%s", error.message);
    return table;
}

/* The row with this number, valid until the next call. */
static cl_row row_of(cl_table *table, int64_t number) {
    const cl_row *rows = NULL;
    int64_t count = 0;
    const int32_t part = (int32_t)(number / 9); /* the tiny options' rows of a file, each of one row group */
    coulis_error error;
    coulis_status status = cl_part_reader_read(cl_table_part(table, part), 0, true, &rows, &count, &error);
    CHECK_MSG(status == COULIS_OK && number % 9 < count, "%s", error.message);
    return rows[number % 9];
}

/* The vectors are those of the same files in a folder, whether items are read in turn or not. */
static void images_in_memory_give_the_folders_vectors(void) {
    coulis_error error;
    coulis_job_result result;
    coulis_job_options options = tiny_options(2);
    CHECK(run_into("folder", &options, &error) == COULIS_OK);
    cl_table *wanted = open_result("folder");
    for (int32_t now = 0; now < 2; now++)
        for (int32_t counted = 0; counted < 2; counted++) {
            char name[32];
            snprintf(name, sizeof name, "memory%d%d", now, counted);
            memory m = {.now = now};
            coulis_source source = source_of(&m);
            if (!counted) source.count = -1;
            CHECK_MSG(run_source(name, &source, &result, &error) == COULIS_OK, "%s", error.message);
            CHECK(result.images == IMAGES && result.counts[COULIS_OK] == IMAGES && result.components == 3);
            CHECK(m.held == 0 && m.closed == 0 && m.read == IMAGES);
            cl_table *table = open_result(name);
            for (int64_t i = 0; table && i < IMAGES; i++) {
                char path[32], number[32], label[32];
                snprintf(path, sizeof path, "memory/%02d", (int)i);
                snprintf(number, sizeof number, "%d", (int)i);
                snprintf(label, sizeof label, "label %d", (int)(i % 3));
                cl_row row = row_of(table, i), same = row_of(wanted, i);
                CHECK(memcmp(row.vector, same.vector, 24 * sizeof(float)) == 0);
                CHECK(strcmp(row.path, path) == 0 && strcmp(row.label, i % 2 ? label : "") == 0);
                CHECK(row.extra_count == 2 && strcmp(row.extra[0], number) == 0 && !row.extra[1]);
                CHECK(row.file.bytes == (int64_t)m.sizes[i] && row.file.modified == 1500000000000000);
                CHECK(strcmp(row.sha256, same.sha256) == 0);
            }
            cl_table_close(table);
        }
    cl_table_close(wanted);
}

/* The same by hand: a program that wants vectors in memory reads the source itself. */
static void a_source_and_a_featurizer(void) {
    coulis_error error;
    coulis_model *tiny = NULL;
    coulis_featurizer *featurizer = NULL;
    memory m = {.fault = READ_UNREADABLE, .fault_at = 3};
    const coulis_source source = source_of(&m);
    cl_table *wanted = open_result("folder");
    CHECK(coulis_model_open(model, NULL, &tiny, &error) == COULIS_OK);
    CHECK(coulis_featurizer_create(tiny, NULL, &featurizer, &error) == COULIS_OK);
    for (int64_t i = 0; i < IMAGES; i++) {
        coulis_item item = {.size = sizeof item};
        void *bytes;
        float vector[24];
        coulis_result outcome;
        coulis_input input = {0};
        CHECK(source.next(source.context, &item, &error) == COULIS_OK);
        coulis_status status = source.read(source.context, &item, 1 << 20, &bytes, &input.byte_count, &error);
        CHECK(status == (i == 3 ? COULIS_UNREADABLE : COULIS_OK));
        if (status != COULIS_OK) continue;
        input.path = item.name;
        input.bytes = bytes;
        CHECK(coulis_featurizer_run(featurizer, &input, 1, vector, &outcome, &error) == COULIS_OK);
        source.release(source.context, bytes);
        CHECK(memcmp(vector, row_of(wanted, i).vector, sizeof vector) == 0);
    }
    cl_table_close(wanted);
    coulis_featurizer_free(featurizer);
    coulis_model_close(tiny);
}

/* What is wrong with one item is its row. */
static void a_fault_of_an_item_is_its_row(void) {
    static const struct {
        fault fault;
        coulis_status status;
        const char *sentence;
    } cases[] = {{READ_UNREADABLE, COULIS_UNREADABLE, "torn in two"},
                 {READ_SILENT, COULIS_UNREADABLE, "memory/11: the source failed without a reason (unreadable)"},
                 {READ_NOTHING, COULIS_EMPTY, "memory/11: is empty"},
                 {READ_TOO_MUCH, COULIS_TOO_LARGE, "memory/11: has 1073741825 bytes, more than the limit"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32];
        coulis_error error;
        coulis_job_result result;
        memory m = {.fault = cases[i].fault, .fault_at = 11};
        const coulis_source source = source_of(&m);
        snprintf(name, sizeof name, "item%zu", i);
        CHECK_MSG(run_source(name, &source, &result, &error) == COULIS_OK, "%zu: %s", i, error.message);
        CHECK(result.images == IMAGES && result.counts[cases[i].status] == 1 && m.held == 0);
        cl_table *table = open_result(name);
        cl_row row = row_of(table, 11);
        CHECK(row.status == (int32_t)cases[i].status && !row.vector);
        CHECK_MSG(row.error && strstr(row.error, cases[i].sentence), "%zu: %s", i, row.error ? row.error : "none");
        cl_table_close(table);
    }
}

/* What is wrong with the source or the machine ends the job, and is in no row. */
static void a_fault_of_the_source_ends_the_job(void) {
    static const struct {
        fault fault;
        coulis_status status;
        const char *sentence;
    } cases[] = {{READ_IO, COULIS_IO, "the cable was pulled"},
                 {READ_UNKNOWN, COULIS_INVALID_ARGUMENT, "answered 77, which is not a status"},
                 {READ_NOWHERE, COULIS_INVALID_ARGUMENT, "at no address"},
                 {NEXT_IO, COULIS_IO, "the cable was pulled"},
                 {NEXT_SILENT, COULIS_BAD_DATA, "failed without a reason"},
                 {NEXT_TOO_FEW, COULIS_INVALID_ARGUMENT, "gave 39 items instead of the 40"},
                 {NEXT_TOO_MANY, COULIS_INVALID_ARGUMENT, "gave more items than the 40"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        coulis_error error;
        coulis_job_result result;
        memory m = {.fault = cases[i].fault, .fault_at = 11};
        const coulis_source source = source_of(&m);
        CHECK(run_source("ended", &source, &result, &error) == cases[i].status);
        CHECK_MSG(error.status == (int32_t)cases[i].status && strstr(error.message, cases[i].sentence), "%zu: %s", i,
                  error.message);
        CHECK(m.held == 0 && m.closed == 0);
    }
    coulis_error error;
    coulis_job_result result;
    memory m = {.first = 9}; /* the first part is there, and is not read again */
    const coulis_source source = source_of(&m);
    CHECK_MSG(run_source("ended", &source, &result, &error) == COULIS_OK, "%s", error.message);
    CHECK(result.resumed >= 9);
    check_same("memory01", "ended");
}

/* A result of other items does not pass for that of these: they are read. */
static void another_identity_is_read_again(void) {
    coulis_error error;
    coulis_job_result result;
    memory m = {0};
    coulis_source source = source_of(&m);
    CHECK(run_source("identity", &source, &result, &error) == COULIS_OK);
    m.at = 0;
    m.read = 0;
    CHECK(run_source("identity", &source, &result, &error) == COULIS_OK && m.read == 0);
    source.identity = "others";
    m.at = 0;
    m.read = 0;
    CHECK_MSG(run_source("identity", &source, &result, &error) == COULIS_OK, "%s", error.message);
    CHECK(m.read == IMAGES);
}

/* A tar of empty files. */
static void write_tar(const char *path, const char *const *names, int count) {
    FILE *file = fopen(path, "wb");
    for (int i = 0; file && i <= count; i++) {
        char block[1024] = {0};
        if (i < count) {
            snprintf(block, 100, "%s", names[i]);
            memcpy(block + 124, "00000000000", 11);
            memcpy(block + 148, "        ", 8);
            memcpy(block + 257, "ustar\00000", 8);
            block[156] = '0';
            unsigned sum = 0;
            for (int b = 0; b < 512; b++) sum += (unsigned char)block[b];
            snprintf(block + 148, 8, "%06o", sum);
        }
        fwrite(block, 1, i < count ? 512 : 1024, file);
    }
    CHECK(file && fclose(file) == 0);
}

/* Archives are opened when their turn comes, long after the call that was given paths and options. */
static void a_source_keeps_nothing_of_its_arguments(void) {
    static const char *const names[] = {"a.png", "b.png", "c.jpg"};
    char path[512], again[512], include[8] = "*.png", exclude[8] = "b*", label[8] = "none";
    snprintf(path, sizeof path, "%s/patterns.tar", folder);
    memcpy(again, path, sizeof again);
    write_tar(path, names, 3);
    const char *paths[] = {path}, *included[] = {include}, *excluded[] = {exclude};
    coulis_source_options options;
    coulis_source_options_init(&options, sizeof options);
    options.include = included;
    options.exclude = excluded;
    options.include_count = options.exclude_count = 1;
    options.label = label;
    coulis_source *source;
    coulis_error error;
    CHECK_MSG(coulis_source_open(paths, 1, &options, NULL, &source, &error) == COULIS_OK, "%s", error.message);
    memset(path, 'x', sizeof path - 1);
    memset(include, 'x', 7);
    memset(exclude, 'x', 7);
    memset(label, 'x', 7);
    paths[0] = included[0] = excluded[0] = NULL;
    coulis_item item = {.size = sizeof item};
    CHECK_MSG(source->next(source->context, &item, &error) == COULIS_OK, "%s", error.message);
    CHECK(item.name && strncmp(item.name, again, strlen(again)) == 0 && strstr(item.name, "/a.png"));
    item = (coulis_item){.size = sizeof item};
    CHECK(source->next(source->context, &item, &error) == COULIS_OK && !item.name);
    coulis_source_close(source);

    options = (coulis_source_options){.size = sizeof options, .include_count = -1};
    paths[0] = again;
    CHECK(coulis_source_open(paths, 1, &options, NULL, &source, &error) == COULIS_INVALID_ARGUMENT);
    CHECK_MSG(strstr(error.message, "negative"), "%s", error.message);
}

static void what_is_missing_in_a_source_is_said(void) {
    static const char *const reserved[] = {"number", "status"}, *const twice[] = {"a", "a"}, *const none[] = {"a", ""};
    coulis_error error;
    coulis_job_result result;
    memory m = {0};
    for (int i = 0; i < 10; i++) {
        coulis_source source = source_of(&m);
        if (i == 0) source.next = NULL;
        if (i == 1) source.read = NULL;
        if (i == 2) source.release = NULL;
        if (i == 3) source.identity = NULL;
        if (i == 4) source.identity = "";
        if (i == 5) source.columns = reserved;
        if (i == 6) source.columns = twice;
        if (i == 7) source.columns = none;
        if (i == 8) source.column_count = -1;
        if (i == 9) source.size = 0;
        CHECK_MSG(run_source("missing", &source, &result, &error) == COULIS_INVALID_ARGUMENT, "%d", i);
        CHECK(strstr(error.message, "coulis_source") != NULL);
    }
    CHECK(m.at == 0);
    coulis_source source = source_of(&m);
    coulis_job_options options = tiny_options(1);
    options.source = &source;
    const char *const paths[] = {images};
    CHECK(coulis_job_run(paths, 1, "x", &options, NULL, NULL, &error) == COULIS_INVALID_ARGUMENT);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    if (!set_up() || !load_all()) {
        printf("cannot make files in %s\n0 passed, 1 failed, 0 skipped\n", folder);
        return 1;
    }
    RUN(images_in_memory_give_the_folders_vectors);
    RUN(a_source_and_a_featurizer);
    RUN(a_fault_of_an_item_is_its_row);
    RUN(a_fault_of_the_source_ends_the_job);
    RUN(another_identity_is_read_again);
    RUN(a_source_keeps_nothing_of_its_arguments);
    RUN(what_is_missing_in_a_source_is_said);
    for (int i = 0; i < IMAGES; i++) cl_free(shared.bytes[i]);
    remove_all(folder);
    return test_finish();
}
