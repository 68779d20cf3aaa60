#include "collection/labels.h"

#include <stdlib.h>

/* Pairs of labels that the summary names at most, and labels of a group whose pairs are counted. */
#define ACROSS_MAX 100
#define GROUP_LABELS_MAX 50

static bool add_pair(cl_label_counts *c, cl_label_pair pair) {
    if (c->count == c->room) {
        const int64_t room = c->room ? 2 * c->room : 1024;
        cl_label_pair *grown = cl_grow(c->pairs, (size_t)room, sizeof *grown);
        if (!grown) return false;
        c->pairs = grown;
        c->room = room;
    }
    c->pairs[c->count++] = pair;
    return true;
}

static int by_labels(const void *x, const void *y) {
    const cl_label_pair *a = x, *b = y;
    const int order = strcmp(a->a, b->a);
    return order ? order : strcmp(a->b, b->b);
}

static int by_text(const void *x, const void *y) { return strcmp(*(const char *const *)x, *(const char *const *)y); }

/* Sums entries of the same labels, so that there are as many as labels and pairs of them. */
static void sum_up(cl_label_counts *c) {
    int64_t kept = 0;
    if (c->count) qsort(c->pairs, (size_t)c->count, sizeof *c->pairs, by_labels);
    for (int64_t i = 0; i < c->count; i++) {
        if (kept && by_labels(&c->pairs[kept - 1], &c->pairs[i]) == 0) {
            c->pairs[kept - 1].groups += c->pairs[i].groups;
            c->pairs[kept - 1].duplicates += c->pairs[i].duplicates;
        } else {
            c->pairs[kept++] = c->pairs[i];
        }
    }
    c->count = kept;
}

void cl_labels_begin(cl_label_counts *counts) { counts->size = 0; }

bool cl_labels_add(cl_label_counts *c, const char *label, bool is_duplicate) {
    if (c->size == c->group_room) {
        const int64_t room = c->group_room ? 2 * c->group_room : 64;
        const char **grown = cl_grow(c->group, (size_t)room, sizeof *grown);
        if (!grown) return false;
        c->group = grown;
        c->group_room = room;
    }
    c->group[c->size++] = label;
    return !is_duplicate || add_pair(c, (cl_label_pair){label, label, 0, 1});
}

bool cl_labels_end(cl_label_counts *c) {
    int64_t labels = 0;
    qsort(c->group, (size_t)c->size, sizeof *c->group, by_text);
    for (int64_t i = 0; i < c->size; i++)
        if (labels == 0 || strcmp(c->group[labels - 1], c->group[i])) c->group[labels++] = c->group[i];
    c->mixed += labels > 1;
    bool good = true;
    for (int64_t i = 0; i < labels && good; i++) good = add_pair(c, (cl_label_pair){c->group[i], c->group[i], 1, 0});
    if (labels > GROUP_LABELS_MAX) labels = GROUP_LABELS_MAX;
    for (int64_t i = 0; i < labels; i++)
        for (int64_t j = i + 1; j < labels && good; j++)
            good = add_pair(c, (cl_label_pair){c->group[i], c->group[j], 1, 0});
    if (c->count > 100000) sum_up(c); /* many groups: the entries stay few */
    return good;
}

static int by_groups(const void *x, const void *y) {
    const cl_label_pair *a = x, *b = y;
    if (a->groups != b->groups) return a->groups > b->groups ? -1 : 1;
    return by_labels(x, y);
}

bool cl_labels_json(cl_label_counts *c, cJSON *root) {
    sum_up(c);
    cJSON *labels = cJSON_AddArrayToObject(root, "labels");
    bool good = labels && cJSON_AddNumberToObject(root, "groups_across_labels", (double)c->mixed);
    for (int64_t i = 0; i < c->count && good; i++) {
        const cl_label_pair *p = &c->pairs[i];
        if (strcmp(p->a, p->b)) continue;
        cJSON *entry = cJSON_CreateObject();
        good = entry && cJSON_AddItemToArray(labels, entry) && cJSON_AddStringToObject(entry, "label", p->a) &&
               cJSON_AddNumberToObject(entry, "groups", (double)p->groups) &&
               cJSON_AddNumberToObject(entry, "duplicates", (double)p->duplicates);
    }
    if (c->count) qsort(c->pairs, (size_t)c->count, sizeof *c->pairs, by_groups);
    cJSON *across = cJSON_AddArrayToObject(root, "across_labels");
    good = good && across;
    int64_t named = 0;
    for (int64_t i = 0; i < c->count && good && named < ACROSS_MAX; i++) {
        const cl_label_pair *p = &c->pairs[i];
        if (!strcmp(p->a, p->b)) continue;
        cJSON *entry = cJSON_CreateObject(), *both = entry ? cJSON_AddArrayToObject(entry, "labels") : NULL;
        good = entry && cJSON_AddItemToArray(across, entry) && both &&
               cJSON_AddItemToArray(both, cJSON_CreateString(p->a)) &&
               cJSON_AddItemToArray(both, cJSON_CreateString(p->b)) &&
               cJSON_AddNumberToObject(entry, "groups", (double)p->groups);
        named++;
    }
    return good;
}

void cl_labels_free(cl_label_counts *counts) {
    cl_free(counts->pairs);
    cl_free(counts->group);
    *counts = (cl_label_counts){0};
}
