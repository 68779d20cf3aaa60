/* coulis dedup: groups of images that are the same, or nearly. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

#include "collection/collection.h"
#include "collection/groups.h"
#include "collection/options.h"
#include "collection/labels.h"
#include "index/pairs.h"
#include "pipeline/clock.h"
#include "table/sheet.h"

/* One image of a group. */
typedef struct member {
    int64_t node; /* rows of the first collection, then those of the second */
    int64_t root; /* of its group */
    const cl_item *item;
} member;

typedef struct dedup {
    cl_collection all[2];
    int32_t collections;
    int64_t nodes;
    int64_t *parent;
    cl_pairs_work work;
    member *members;
    int64_t member_count, group_count;
} dedup;

static int32_t collection_of(const dedup *d, int64_t node) { return node >= d->all[0].rows; }

static const cl_item *item_of(const dedup *d, int64_t node) {
    const int32_t which = collection_of(d, node);
    return &d->all[which].items[which ? node - d->all[0].rows : node];
}

static int64_t node_of_vector(const dedup *d, int32_t which, int64_t vector) {
    return (which ? d->all[0].rows : 0) + d->all[which].row_of[vector];
}

static coulis_status join_pairs(void *context, const cl_pair *pairs, int64_t count) {
    dedup *d = context;
    const int32_t second = d->collections - 1;
    for (int64_t i = 0; i < count; i++)
        cl_join(d->parent, node_of_vector(d, 0, pairs[i].a), node_of_vector(d, second, pairs[i].b));
    return COULIS_OK;
}

/* ---- identical files ---------------------------------------------------------------- */

static int by_hash(const void *a, const void *b) {
    const member *x = a, *y = b;
    const int order = strcmp(x->item->sha256, y->item->sha256);
    return order ? order : (x->node > y->node) - (x->node < y->node);
}

/* Joins rows whose files have the same SHA-256, whether they could be read or not; between two collections only those
 * that stand in both. An empty file is not a duplicate of another. */
static coulis_status join_files(dedup *d, coulis_error *error) {
    member *with = cl_alloc((size_t)d->nodes, sizeof *with);
    if (!with) return cl_fail_memory(error, "the hashes", (size_t)d->nodes * sizeof *with);
    size_t count = 0;
    for (int64_t node = 0; node < d->nodes; node++) {
        const cl_item *item = item_of(d, node);
        if (item->sha256 && item->status != COULIS_EMPTY) with[count++] = (member){.node = node, .item = item};
    }
    if (count) qsort(with, count, sizeof *with, by_hash);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && !strcmp(with[end].item->sha256, with[first].item->sha256);) end++;
        /* Nodes ascend, so a group stands in both collections when its ends do. */
        if (d->collections == 2 && collection_of(d, with[first].node) == collection_of(d, with[end - 1].node)) continue;
        for (size_t i = first + 1; i < end; i++) cl_join(d->parent, with[first].node, with[i].node);
    }
    cl_free(with);
    return COULIS_OK;
}

/* ---- groups ------------------------------------------------------------------------- */

/* The best of a group first: the largest image, then the most bytes, then the path; equal paths of two collections in
 * their order. Groups in the order of their lowest row. */
static int by_group(const void *a, const void *b) {
    const member *x = a, *y = b;
    if (x->root != y->root) return x->root < y->root ? -1 : 1;
    const int64_t x_pixels = (int64_t)x->item->width * x->item->height;
    const int64_t y_pixels = (int64_t)y->item->width * y->item->height;
    if (x_pixels != y_pixels) return x_pixels > y_pixels ? -1 : 1;
    if (x->item->bytes != y->item->bytes) return x->item->bytes > y->item->bytes ? -1 : 1;
    const int order = strcmp(x->item->path, y->item->path);
    return order ? order : (x->node > y->node) - (x->node < y->node);
}

static coulis_status make_groups(dedup *d, coulis_error *error) {
    int64_t *sizes = cl_alloc_zero((size_t)d->nodes, sizeof *sizes);
    d->members = cl_alloc((size_t)d->nodes, sizeof *d->members);
    coulis_status status = COULIS_OK;
    if (!sizes || !d->members) status = cl_fail_memory(error, "the groups", (size_t)d->nodes * sizeof(member));
    for (int64_t node = 0; node < d->nodes && !status; node++) sizes[cl_root(d->parent, node)]++;
    for (int64_t node = 0; node < d->nodes && !status; node++) {
        const int64_t root = cl_root(d->parent, node);
        d->group_count += root == node && sizes[root] > 1;
        if (sizes[root] > 1) d->members[d->member_count++] = (member){node, root, item_of(d, node)};
    }
    cl_free(sizes);
    if (!status && d->member_count) qsort(d->members, (size_t)d->member_count, sizeof *d->members, by_group);
    return status;
}

/* ---- the table ---------------------------------------------------------------------- */

static const float *vector_of(const dedup *d, const member *m) {
    const cl_collection *c = &d->all[collection_of(d, m->node)];
    return m->item->vector >= 0 ? c->x + m->item->vector * c->vectors.cols : NULL;
}

/* How a member resembles the best of its group; NaN where one of them has no vector. */
static float similarity(const dedup *d, const member *best, const member *m, const char **kind) {
    const float *a = vector_of(d, best), *b = vector_of(d, m);
    const int64_t cols = d->all[0].vectors.cols;
    const bool same_file = m->item->sha256 && best->item->sha256 && !strcmp(m->item->sha256, best->item->sha256);
    *kind = m == best ? "best" : same_file ? "file" : "similar";
    if (!a || !b) return NAN;
    if (m != best && !same_file && memcmp(a, b, (size_t)cols * sizeof *a) == 0) *kind = "pixels";
    return (float)cl_cosine(cl_dot(a, b, cols), cl_dot(a, a, cols), cl_dot(b, b, cols));
}

static coulis_status write_groups(const dedup *d, const char *output, coulis_error *error) {
    const size_t n = (size_t)d->member_count;
    int64_t *group = cl_alloc(n, sizeof *group);
    const char **path = cl_alloc(n, sizeof *path), **label = cl_alloc(n, sizeof *label),
               **kind = cl_alloc(n, sizeof *kind), **folder = cl_alloc(n, sizeof *folder);
    uint8_t *keep = cl_alloc(n, sizeof *keep);
    float *like = cl_alloc(n, sizeof *like);
    coulis_status status = COULIS_OK;
    if (!group || !path || !label || !kind || !folder || !keep || !like) status = cl_fail_memory(error, output, n * 45);
    const member *best = d->members;
    int64_t number = -1;
    for (size_t i = 0; i < n && !status; i++) {
        const member *m = &d->members[i];
        keep[i] = i == 0 || m->root != best->root;
        if (keep[i]) {
            best = m;
            number++;
        }
        group[i] = number;
        path[i] = m->item->path;
        label[i] = m->item->label;
        folder[i] = d->all[collection_of(d, m->node)].folder;
        like[i] = similarity(d, best, m, &kind[i]);
    }
    const cl_sheet_column columns[] = {
        {"group", CL_SHEET_INT64, group, 0, 0},      {"path", CL_SHEET_TEXT, path, 0, 0},
        {"keep", CL_SHEET_BOOL, keep, 0, 0},         {"similarity", CL_SHEET_FLOAT, like, 0, 0},
        {"kind", CL_SHEET_TEXT, kind, 0, 0},         {"label", CL_SHEET_TEXT, label, 0, 0},
        {"collection", CL_SHEET_TEXT, folder, 0, 0},
    };
    if (!status)
        status = cl_sheet_write(output, columns, 6 + (d->collections == 2), d->member_count,
                                cl_table_recipe(d->all[0].table), error);
    cl_free(group);
    cl_free(path);
    cl_free(label);
    cl_free(kind);
    cl_free(folder);
    cl_free(keep);
    cl_free(like);
    return status;
}

/* ---- summary ------------------------------------------------------------------------ */

static coulis_status summarize(const dedup *d, const char *output, double threshold, double seconds, char **summary,
                               coulis_error *error) {
    if (!summary) return COULIS_OK;
    cl_label_counts counts = {0};
    bool good = true;
    for (int64_t first = 0, end; first < d->member_count && good; first = end) {
        for (end = first + 1; end < d->member_count && d->members[end].root == d->members[first].root;) end++;
        cl_labels_begin(&counts);
        for (int64_t i = first; i < end && good; i++)
            good = cl_labels_add(&counts, d->members[i].item->label, i > first);
        good = good && cl_labels_end(&counts);
    }
    cJSON *root = cJSON_CreateObject();
    good = good && root && cJSON_AddStringToObject(root, "output", output) &&
           cJSON_AddNumberToObject(root, "threshold", threshold) &&
           cJSON_AddNumberToObject(root, "images", (double)d->nodes) &&
           cJSON_AddNumberToObject(root, "groups", (double)d->group_count) &&
           cJSON_AddNumberToObject(root, "images_in_groups", (double)d->member_count) &&
           cJSON_AddNumberToObject(root, "duplicates", (double)(d->member_count - d->group_count)) &&
           cJSON_AddNumberToObject(root, "pairs", (double)d->work.found) &&
           cJSON_AddNumberToObject(root, "pairs_compared", (double)d->work.pairs) &&
           cJSON_AddNumberToObject(root, "pairs_computed", (double)d->work.computed) &&
           cJSON_AddNumberToObject(root, "bound_dimensions", (double)d->work.numbers) &&
           cl_labels_json(&counts, root) && cJSON_AddNumberToObject(root, "seconds", seconds);
    cl_labels_free(&counts);
    *summary = cl_json_indented(root, good);
    return *summary ? COULIS_OK : cl_fail_memory(error, "the summary", 0);
}

/* ---- the job ------------------------------------------------------------------------ */

/* Two collections can be compared when their vectors come from the same network and preprocessing. */
static coulis_status check_alike(const dedup *d, coulis_error *error) {
    const int64_t a = d->all[0].vectors.cols, b = d->all[1].vectors.cols;
    if (a != b)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "%s: its vectors have %lld dimensions, those of %s %lld; both must come from the same network",
                       d->all[1].folder, (long long)b, d->all[0].folder, (long long)a);
    return cl_recipes_alike(&d->all[0], &d->all[1], error);
}

static coulis_status find_groups(dedup *d, double threshold, int32_t threads, coulis_error *error) {
    cl_pool *pool = NULL;
    coulis_status status = cl_pool_create(threads, &pool, error);
    for (int32_t i = 0; i < d->collections && !status; i++) status = cl_collection_load(&d->all[i], pool, error);
    d->nodes = d->all[0].rows + d->all[1].rows;
    d->parent = cl_alloc((size_t)d->nodes, sizeof *d->parent);
    if (!status && !d->parent) status = cl_fail_memory(error, "the groups", (size_t)d->nodes * sizeof *d->parent);
    for (int64_t i = 0; i < d->nodes && !status; i++) d->parent[i] = i;
    if (!status) status = join_files(d, error);
    if (!status)
        status = cl_pairs_find(&d->all[0].vectors, d->collections == 2 ? &d->all[1].vectors : NULL, threshold, pool,
                               join_pairs, d, &d->work, error);
    if (!status) status = make_groups(d, error);
    cl_pool_free(pool);
    return status;
}

coulis_status coulis_dedup(const char *folder, const char *against, const char *output,
                           const coulis_collection_options *options, char **summary, coulis_error *error) {
    const double began = cl_seconds();
    coulis_collection_options o;
    coulis_status status = cl_collection_options(options, &o, error);
    if (status) return status;
    if (!folder || !output)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "dedup needs a folder of vectors and a file for the groups");
    if (!cl_sheet_ends_in(output, ".csv") && !cl_sheet_ends_in(output, ".parquet"))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: the name must end in .parquet or .csv", output);
    dedup d = {.collections = against ? 2 : 1};
    cl_stand_in to;
    status = cl_stand_in_new(&to, output, true, error);
    if (!status) status = cl_collection_open(folder, "features", &d.all[0], error);
    if (!status && against) status = cl_collection_open(against, "features", &d.all[1], error);
    if (!status && against) status = check_alike(&d, error);
    if (!status) status = find_groups(&d, o.threshold, o.threads, error);
    if (!status) status = write_groups(&d, to.path, error);
    status = cl_stand_in_put(&to, status, error);
    if (!status) status = summarize(&d, output, o.threshold, cl_seconds() - began, summary, error);
    cl_free(d.parent);
    cl_free(d.members);
    cl_collection_close(&d.all[0]);
    cl_collection_close(&d.all[1]);
    return cl_done(status, error);
}
