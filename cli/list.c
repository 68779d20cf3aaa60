/* coulis list, and --dry-run: what the PATHs stand for. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

int cli_list(const cli_options *options) {
    coulis_error error;
    coulis_source *source = NULL;
    int64_t items = 0;
    coulis_status status = coulis_source_open(options->paths, options->path_count, &options->choose, NULL, &source,
                                              &error);
    if (!status) status = coulis_source_write(source, options->output, &items, &error);
    coulis_source_close(source);
    if (status) return cli_fail(status, &error);
    fprintf(stderr, "%lld images listed in %s\n", (long long)items, options->output);
    return EXIT_DONE;
}

/* ---- counts by word ---- */

typedef struct tally {
    struct entry {
        char *word;
        long long count;
    } *entries;
    size_t count, capacity;
} tally;

static int by_word(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->word, ((const struct entry *)b)->word);
}

/* Where `word` is, or where it belongs: the entries are in order. */
static size_t place_of(const tally *t, const char *word) {
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (by_word(&t->entries[middle], &(struct entry){(char *)(uintptr_t)word, 0}) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

static bool add(tally *t, const char *word) {
    size_t at = place_of(t, word);
    if (at < t->count && strcmp(t->entries[at].word, word) == 0) {
        t->entries[at].count++;
        return true;
    }
    if (t->count == t->capacity) {
        size_t capacity = t->capacity * 2 + 64;
        struct entry *entries = realloc(t->entries, capacity * sizeof *entries);
        if (!entries) return false;
        t->entries = entries;
        t->capacity = capacity;
    }
    char *copy = strdup(word);
    if (!copy) return false;
    memmove(t->entries + at + 1, t->entries + at, (t->count - at) * sizeof *t->entries);
    t->entries[at] = (struct entry){copy, 1};
    t->count++;
    return true;
}

static void forget(tally *t) {
    for (size_t i = 0; i < t->count; i++) free(t->entries[i].word);
    free(t->entries);
}

/* "jpg" of "a/B.JPG"; "no ending" of a name without a dot. */
static void kind_of(const char *name, char *kind, size_t capacity) {
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name, *dot = strrchr(last, '.');
    if (!dot || dot == last || !dot[1]) dot = ".no ending";
    snprintf(kind, capacity, "%s", dot + 1);
    for (char *c = kind; *c; c++) *c = (char)tolower((unsigned char)*c);
}

typedef struct plan {
    tally kinds, labels;
    long long items, bytes, unknown; /* unknown: items whose size is not known */
    coulis_source_info info;
} plan;

static coulis_status make_plan(const cli_options *options, plan *p, coulis_error *error) {
    coulis_source *source = NULL;
    coulis_status status = coulis_source_open(options->paths, options->path_count, &options->choose, options->output,
                                              &source, error);
    while (!status) {
        coulis_item item = {.size = sizeof item, .bytes = -1, .modified = INT64_MIN};
        status = source->next(source->context, &item, error);
        if (status || !item.name) break;
        char kind[32];
        kind_of(item.name, kind, sizeof kind);
        if (!add(&p->kinds, kind) || !add(&p->labels, item.label ? item.label : "")) status = cli_fail_memory(error);
        p->items++;
        if (item.bytes >= 0) p->bytes += item.bytes;
        else p->unknown++;
    }
    coulis_source_info_init(&p->info, sizeof p->info);
    if (source) coulis_source_describe(source, &p->info);
    coulis_source_close(source);
    return status;
}

static void print_tally(const char *title, const tally *t) {
    printf("%s\n", title);
    for (size_t i = 0; i < t->count; i++)
        printf("%10lld  %s\n", t->entries[i].count, *t->entries[i].word ? t->entries[i].word : "(none)");
}

static bool add_tally(cJSON *root, const char *name, const tally *t) {
    cJSON *object = cJSON_AddObjectToObject(root, name);
    bool good = object != NULL;
    for (size_t i = 0; good && i < t->count; i++)
        good = cJSON_AddNumberToObject(object, t->entries[i].word, (double)t->entries[i].count) != NULL;
    return good;
}

void cli_plan_text(const coulis_plan *since, char *text, size_t capacity) {
    int length = snprintf(text, capacity, "%lld new, %lld changed, %lld gone", (long long)since->added,
                          (long long)since->changed, (long long)since->gone);
    const struct {
        int64_t count;
        const char *word;
    } more[] = {{since->moved, "moved"}, {since->touched, "touched"}, {since->failed, "to be tried again"}};
    for (int i = 0; i < 3; i++)
        if (more[i].count > 0)
            length += snprintf(text + length, capacity - (size_t)length, ", %lld %s", (long long)more[i].count,
                               more[i].word);
    snprintf(text + length, capacity - (size_t)length, "; %lld of %lld vectors carried over", (long long)since->carried,
             (long long)since->images);
}

static bool add_plan(cJSON *root, const char *since) {
    cJSON *parsed = cJSON_Parse(since);
    if (parsed && cJSON_AddItemToObject(root, "plan", parsed)) return true;
    cJSON_Delete(parsed);
    return false;
}

/* `since`: a plan as JSON, or NULL. */
static coulis_status print_json(const plan *p, const char *since, coulis_error *error) {
    cJSON *root = cJSON_CreateObject(), *left_out = NULL;
    const bool good = root && cJSON_AddNumberToObject(root, "images", (double)p->items) &&
                      cJSON_AddNumberToObject(root, "bytes", (double)p->bytes) && add_tally(root, "kinds", &p->kinds) &&
                      add_tally(root, "labels", &p->labels) && (left_out = cJSON_AddObjectToObject(root, "left_out")) &&
                      cJSON_AddNumberToObject(left_out, "system", (double)p->info.system) &&
                      cJSON_AddNumberToObject(left_out, "hidden", (double)p->info.hidden) &&
                      cJSON_AddNumberToObject(left_out, "excluded", (double)p->info.excluded) &&
                      cJSON_AddNumberToObject(root, "folders_unreadable", (double)p->info.unreadable) &&
                      (!since || add_plan(root, since));
    if (good) return cli_print_json(root, error);
    cJSON_Delete(root);
    return cli_fail_memory(error);
}

int cli_dry_run(const cli_options *options, const coulis_plan *since, const char *json) {
    coulis_error error;
    plan p = {0};
    coulis_status status = make_plan(options, &p, &error);
    if (!status && options->json) {
        status = print_json(&p, json, &error);
    } else if (!status) {
        printf("%lld images", p.items);
        if (p.unknown < p.items) printf(", %.1f MB", (double)p.bytes / 1e6);
        if (p.unknown > 0) printf(" (%lld of unknown size)", p.unknown);
        printf("; nothing is computed or written\n");
        if (since) {
            char text[200];
            cli_plan_text(since, text, sizeof text);
            printf("%s\n", text);
        }
        print_tally("by kind", &p.kinds);
        print_tally("by label", &p.labels);
        if (p.info.system + p.info.hidden + p.info.excluded > 0)
            printf("left out: %lld of the system, %lld hidden, %lld by --include or --exclude\n",
                   (long long)p.info.system, (long long)p.info.hidden, (long long)p.info.excluded);
        if (p.info.unreadable > 0) printf("%lld folders cannot be read\n", (long long)p.info.unreadable);
    }
    forget(&p.kinds);
    forget(&p.labels);
    return status ? cli_fail(status, &error) : EXIT_DONE;
}
