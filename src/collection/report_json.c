/* A report's data, as report.js reads it. */
#include <stdlib.h>

#include "collection/options.h"
#include "collection/report.h"
#include "collection/sheets.h"

/* Groups of duplicates that are shown, and images of each. */
#define GROUPS_MAX 200
#define GROUP_IMAGES_MAX 24

/* Rows of the table of failures. */
#define FAILURES_MAX 200

static bool add_bytes(cJSON *root, const char *name, const void *bytes, size_t size) {
    char *text = cl_base64(bytes, size);
    const bool good = text && cJSON_AddStringToObject(root, name, text);
    cl_free(text);
    return good;
}

static bool add_images(const cl_report *r, cJSON *root) {
    cJSON *paths = cJSON_AddArrayToObject(root, "paths"), *width = cJSON_AddArrayToObject(root, "width"),
          *height = cJSON_AddArrayToObject(root, "height"), *labels = cJSON_AddArrayToObject(root, "labels"),
          *clusters = cJSON_AddArrayToObject(root, "clusters");
    const size_t count = (size_t)r->count, near = count * CL_REPORT_NEIGHBOURS;
    bool good = paths && width && height && labels && clusters && add_bytes(root, "x", r->x, count * sizeof *r->x) &&
                add_bytes(root, "y", r->y, count * sizeof *r->y) &&
                add_bytes(root, "label", r->label, count * sizeof *r->label) &&
                add_bytes(root, "cluster", r->cluster, count * sizeof *r->cluster) &&
                add_bytes(root, "neighbours", r->neighbours, near * sizeof *r->neighbours) &&
                add_bytes(root, "similarity", r->similarity, near * sizeof *r->similarity);
    for (int64_t i = 0; i < r->count && good; i++) {
        const cl_item *item = &r->collection.items[r->rows[i]];
        good = cJSON_AddItemToArray(paths, cJSON_CreateString(item->path)) &&
               cJSON_AddItemToArray(width, cJSON_CreateNumber(item->width)) &&
               cJSON_AddItemToArray(height, cJSON_CreateNumber(item->height));
    }
    for (int64_t i = 0; i < r->label_count && good; i++)
        good = cJSON_AddItemToArray(labels, cJSON_CreateString(r->labels[i]));
    for (int64_t i = 0; i < r->clusters && good; i++)
        good = cJSON_AddItemToArray(clusters, cJSON_CreateNumber((double)i));
    return good;
}

static bool add_explained(const cl_report *r, cJSON *root) {
    cJSON *array = cJSON_AddArrayToObject(root, "explained");
    bool good = array;
    const int64_t k = r->pca ? coulis_pca_components_count(r->pca) : 0;
    for (int64_t i = 0; i < k && good; i++)
        good = cJSON_AddItemToArray(array, cJSON_CreateNumber(coulis_pca_explained_variance_ratio(r->pca)[i]));
    return good;
}

/* ---- duplicates --------------------------------------------------------------------- */

typedef struct entry {
    int64_t group, image;
    int64_t size; /* of the group */
} entry;

static int by_size(const void *x, const void *y) {
    const entry *a = x, *b = y;
    if (a->size != b->size) return a->size > b->size ? -1 : 1;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    return (a->image > b->image) - (a->image < b->image);
}

/* {"groups": 5, "images": 12, "threshold": 0.98, "list": [{"size": 3, "rows": [1, 4, 9]}, ...]} */
static bool add_duplicates(const cl_report *r, cJSON *root) {
    cJSON *object = cJSON_AddObjectToObject(root, "duplicates"),
          *list = object ? cJSON_AddArrayToObject(object, "list") : NULL;
    int64_t *sizes = cl_alloc_zero((size_t)r->count, sizeof *sizes), groups = 0, images = 0, count = 0;
    entry *entries = cl_alloc((size_t)r->count, sizeof *entries);
    bool good = list && sizes && entries;
    for (int64_t i = 0; i < r->count && good; i++) sizes[r->group[i]]++;
    for (int64_t i = 0; i < r->count && good; i++) {
        const int64_t size = sizes[r->group[i]];
        if (size < 2) continue;
        entries[count++] = (entry){r->group[i], i, size};
        groups += r->group[i] == i;
        images++;
    }
    if (good && count) qsort(entries, (size_t)count, sizeof *entries, by_size);
    for (int64_t at = 0, shown = 0; at < count && good && shown < GROUPS_MAX; at += entries[at].size, shown++) {
        cJSON *item = cJSON_CreateObject(), *rows = item ? cJSON_AddArrayToObject(item, "rows") : NULL;
        good = item && cJSON_AddItemToArray(list, item) && rows &&
               cJSON_AddNumberToObject(item, "size", (double)entries[at].size);
        for (int64_t i = 0; i < entries[at].size && i < GROUP_IMAGES_MAX && good; i++)
            good = cJSON_AddItemToArray(rows, cJSON_CreateNumber((double)entries[at + i].image));
    }
    good = good && cJSON_AddNumberToObject(object, "groups", (double)groups) &&
           cJSON_AddNumberToObject(object, "images", (double)images) &&
           cJSON_AddNumberToObject(object, "threshold", r->threshold);
    cl_free(sizes);
    cl_free(entries);
    return good;
}

/* ---- failures ----------------------------------------------------------------------- */

/* The reason without the name of the file, which differs from row to row. */
static const char *reason(const cl_item *item) {
    const size_t length = strlen(item->path);
    const char *error = item->error ? item->error : "";
    if (strncmp(error, item->path, length) == 0 && strncmp(error + length, ": ", 2) == 0) return error + length + 2;
    return error;
}

static int by_reason(const void *x, const void *y) {
    const cl_item *a = *(const cl_item *const *)x, *b = *(const cl_item *const *)y;
    if (a->status != b->status) return a->status < b->status ? -1 : 1;
    const int order = strcmp(reason(a), reason(b));
    return order ? order : strcmp(a->path, b->path);
}

/* Rows without a vector, by reason. */
static bool add_failures(const cl_report *r, cJSON *root) {
    const cl_collection *c = &r->collection;
    const int64_t failed = c->rows - c->vectors.rows;
    cJSON *list = cJSON_AddArrayToObject(root, "failures");
    const cl_item **items = cl_alloc((size_t)failed, sizeof *items);
    bool good = list && items && cJSON_AddNumberToObject(root, "failed", (double)failed);
    int64_t count = 0, shown = 0;
    for (int64_t i = 0; i < c->rows && good; i++)
        if (c->items[i].vector < 0) items[count++] = &c->items[i];
    if (good && count) qsort(items, (size_t)count, sizeof *items, by_reason);
    for (int64_t first = 0, end; first < count && good && shown < FAILURES_MAX; first = end, shown++) {
        for (end = first + 1; end < count && items[end]->status == items[first]->status &&
                              !strcmp(reason(items[end]), reason(items[first]));)
            end++;
        cJSON *line = cJSON_CreateObject();
        good = line && cJSON_AddItemToArray(list, line) &&
               cJSON_AddStringToObject(line, "status", coulis_status_name(items[first]->status)) &&
               cJSON_AddStringToObject(line, "error", reason(items[first])) &&
               cJSON_AddStringToObject(line, "path", items[first]->path) &&
               cJSON_AddNumberToObject(line, "count", (double)(end - first));
    }
    cl_free(items);
    return good;
}

static bool add_recipe(const cl_report *r, cJSON *root) {
    const char *text = cl_table_recipe(r->collection.table);
    cJSON *recipe = text ? cJSON_Parse(text) : NULL;
    if (text && !recipe) recipe = cJSON_Parse(text); /* cJSON does not say whether memory was short for a moment */
    if (!recipe) recipe = cJSON_CreateObject();
    return recipe && cJSON_AddItemToObject(root, "recipe", recipe);
}

char *cl_report_json(const cl_report *r, int32_t side) {
    const cl_collection *c = &r->collection;
    cJSON *root = cJSON_CreateObject();
    const bool good = root && cJSON_AddStringToObject(root, "folder", c->folder) &&
                      (!r->map_name || cJSON_AddStringToObject(root, "map", r->map_name)) &&
                      cJSON_AddNumberToObject(root, "images", (double)c->vectors.rows) &&
                      cJSON_AddNumberToObject(root, "dimensions", (double)c->vectors.cols) &&
                      cJSON_AddNumberToObject(root, "thumb", side ? side : 64) &&
                      cJSON_AddBoolToObject(root, "thumbs", side > 0) &&
                      cJSON_AddNumberToObject(root, "sheet_columns", CL_SHEET_COLUMNS) &&
                      cJSON_AddNumberToObject(root, "neighbour_count", CL_REPORT_NEIGHBOURS) && add_images(r, root) &&
                      add_explained(r, root) && add_duplicates(r, root) && add_failures(r, root) && add_recipe(r, root);
    return cl_json_line(root, good);
}
