/* Counts of duplicates by label, and of groups whose images have several labels. */
#pragma once

#include <cjson/cJSON.h>

#include "base/base.h"

typedef struct cl_label_pair {
    const char *a, *b; /* a <= b; equal for the duplicates of one label */
    int64_t groups, duplicates;
} cl_label_pair;

typedef struct cl_label_counts {
    cl_label_pair *pairs;
    int64_t count, mixed; /* entries; groups with several labels */
    const char **group;   /* labels of the current group */
    int64_t size;
    int64_t room, group_room;
} cl_label_counts;

/* A group: begin, add each image's label (the text must outlive the counts), end. False when memory is short. */
void cl_labels_begin(cl_label_counts *counts);
bool cl_labels_add(cl_label_counts *counts, const char *label, bool is_duplicate);
bool cl_labels_end(cl_label_counts *counts);

/* Adds "labels" (groups and duplicates of each), "groups_across_labels" and "across_labels" (the pairs of labels that
 * have most groups in common, 100 at most). False when memory is short. */
bool cl_labels_json(cl_label_counts *counts, cJSON *root);
void cl_labels_free(cl_label_counts *counts);
