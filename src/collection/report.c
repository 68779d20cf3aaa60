#include "collection/report.h"

#include <math.h>
#include <stdlib.h>

#include "base/disk.h"
#include "collection/groups.h"
#include "collection/kmeans.h"
#include "index/pairs.h"
#include "index/search.h"
#include "pca/pca.h"
#include "pipeline/output.h"

int64_t cl_file_bytes(const char *path) {
    cl_about about;
    return cl_look(path, &about) ? about.bytes : 0;
}

void cl_report_free(cl_report *r) {
    cl_collection_close(&r->collection);
    void *all[] = {r->paths,      r->rows,       r->x,       r->y,     r->vectors, r->squares,
                   r->neighbours, r->similarity, r->cluster, r->label, r->labels,  r->group};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) cl_free(all[i]);
    coulis_pca_free(r->pca);
    *r = (cl_report){0};
}

static const cl_item *item_of(const cl_report *r, int64_t i) { return &r->collection.items[r->rows[i]]; }

/* The vector of the i-th image shown. */
static int64_t vector_of(const cl_report *r, int64_t i) {
    const int64_t all = r->collection.vectors.rows;
    return r->count == all ? i : (int64_t)((double)i / (double)r->count * (double)all);
}

/* Chooses the images, and copies their vectors when they are not all. */
static coulis_status choose_images(cl_report *r, coulis_error *error) {
    const cl_collection *c = &r->collection;
    const int64_t cols = c->vectors.cols;
    r->count = c->vectors.rows < CL_REPORT_IMAGES_MAX ? c->vectors.rows : CL_REPORT_IMAGES_MAX;
    const size_t count = (size_t)r->count;
    r->paths = cl_alloc(count, sizeof *r->paths);
    r->rows = cl_alloc(count, sizeof *r->rows);
    r->x = cl_alloc_zero(count, sizeof *r->x);
    r->y = cl_alloc_zero(count, sizeof *r->y);
    r->neighbours = cl_alloc(count * CL_REPORT_NEIGHBOURS, sizeof *r->neighbours);
    r->similarity = cl_alloc(count * CL_REPORT_NEIGHBOURS, sizeof *r->similarity);
    r->cluster = cl_alloc_zero(count, sizeof *r->cluster);
    r->label = cl_alloc(count, sizeof *r->label);
    r->labels = cl_alloc(count, sizeof *r->labels);
    r->group = cl_alloc(count, sizeof *r->group);
    const bool copied = r->count < c->vectors.rows;
    if (copied) {
        r->vectors = cl_alloc(count, (size_t)cols * sizeof *r->vectors);
        r->squares = cl_alloc(count, sizeof *r->squares);
    }
    if (!r->paths || !r->rows || !r->x || !r->y || !r->neighbours || !r->similarity || !r->cluster || !r->label ||
        !r->labels || !r->group || (copied && (!r->vectors || !r->squares)))
        return cl_fail_memory(error, "the report", count * (size_t)(200 + copied * cols * 4));
    for (int64_t i = 0; i < r->count; i++) {
        const int64_t vector = vector_of(r, i);
        r->rows[i] = c->row_of[vector];
        r->paths[i] = item_of(r, i)->path;
        if (!copied) continue;
        memcpy(r->vectors + i * cols, c->x + vector * cols, (size_t)cols * sizeof *r->vectors);
        r->squares[i] = c->squares[vector];
    }
    r->view = copied ? (cl_vectors){r->vectors, r->count, cols, r->squares} : c->vectors;
    return COULIS_OK;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Numbers the labels in ascending order. */
static void number_labels(cl_report *r) {
    for (int64_t i = 0; i < r->count; i++) r->labels[i] = item_of(r, i)->label;
    qsort(r->labels, (size_t)r->count, sizeof *r->labels, by_text);
    for (int64_t i = 0; i < r->count; i++)
        if (i == 0 || strcmp(r->labels[r->label_count - 1], r->labels[i])) r->labels[r->label_count++] = r->labels[i];
    for (int64_t i = 0; i < r->count; i++) {
        const char *label = item_of(r, i)->label;
        const char **found = bsearch(&label, r->labels, (size_t)r->label_count, sizeof *r->labels, by_text);
        r->label[i] = (int32_t)(found - r->labels);
    }
}

/* The PCA of the folder, if it has one. */
static coulis_status load_pca(cl_report *r, coulis_error *error) {
    char *path = cl_format("%s/pca.safetensors", r->collection.place);
    if (!path) return cl_fail_memory(error, "the report", 0);
    bool there = false;
    coulis_status status = cl_path_there(path, &there, error);
    if (!status && there) status = coulis_pca_load(path, &r->pca, error);
    cl_free(path);
    return status;
}

/* Places the images by the first two components of the folder's PCA, or of one fitted now. */
static coulis_status place_by_pca(cl_report *r, cl_pool *pool, coulis_error *error) {
    const int64_t cols = r->view.cols;
    coulis_status status = COULIS_OK;
    coulis_pca *pca = r->pca;
    if (!pca || coulis_pca_columns(pca) != cols) {
        coulis_pca_options options;
        coulis_pca_options_init(&options, sizeof options);
        options.components = cols > 1 && r->count > 2 ? 2 : 1;
        options.threads = cl_pool_threads(pool);
        pca = NULL;
        if (r->count > 1) status = coulis_pca_fit(r->view.x, r->count, cols, &options, &pca, error);
    }
    const int64_t k = pca ? coulis_pca_components_count(pca) : 0;
    float *scores = cl_alloc((size_t)r->count, (size_t)k * sizeof *scores);
    if (!status && !scores) status = cl_fail_memory(error, "the report", (size_t)(r->count * k) * sizeof *scores);
    if (!status && pca) status = cl_pca_transform(pca, r->view.x, r->count, pool, scores, error);
    for (int64_t i = 0; i < r->count && !status && pca; i++) {
        r->x[i] = scores[i * k];
        r->y[i] = k > 1 ? scores[i * k + 1] : 0;
    }
    cl_free(scores);
    if (pca != r->pca) coulis_pca_free(pca);
    return status;
}

/* Places the images as the caller says. */
static coulis_status place_by_caller(cl_report *r, const coulis_collection_options *options, coulis_error *error) {
    float *xy = cl_alloc_zero((size_t)r->count, 2 * sizeof *xy);
    if (!xy) return cl_fail_memory(error, "the report", (size_t)r->count * 2 * sizeof *xy);
    coulis_status status = COULIS_OK;
    if (r->count > 0 && options->map(options->map_context, r->view.x, r->count, r->view.cols, xy))
        status = cl_fail(error, COULIS_INTERRUPTED, "the map of images was not made");
    for (int64_t i = 0; i < r->count && !status; i++) {
        r->x[i] = xy[2 * i];
        r->y[i] = xy[2 * i + 1];
        if (!isfinite(r->x[i]) || !isfinite(r->y[i]))
            status = cl_fail(error, COULIS_NUMERIC, "%s: has no finite place on the map", r->paths[i]);
    }
    cl_free(xy);
    return status;
}

static coulis_status place_images(cl_report *r, const coulis_collection_options *options, cl_pool *pool,
                                  coulis_error *error) {
    r->map_name = options->map ? options->map_name : NULL;
    coulis_status status = load_pca(r, error);
    if (!status) status = options->map ? place_by_caller(r, options, error) : place_by_pca(r, pool, error);
    /* Into a square of side 1,000, so that the map's zoom levels suit any features. */
    float low_x = INFINITY, low_y = INFINITY, extent = 0;
    for (int64_t i = 0; i < r->count; i++) low_x = fminf(low_x, r->x[i]), low_y = fminf(low_y, r->y[i]);
    for (int64_t i = 0; i < r->count; i++) extent = fmaxf(extent, fmaxf(r->x[i] - low_x, r->y[i] - low_y));
    for (int64_t i = 0; i < r->count && extent > 0; i++) {
        r->x[i] = (r->x[i] - low_x) / extent * 1000;
        r->y[i] = (r->y[i] - low_y) / extent * 1000;
    }
    return status;
}

/* The nearest images of each, itself left out. */
static coulis_status find_neighbours(cl_report *r, cl_pool *pool, coulis_error *error) {
    enum { K = CL_REPORT_NEIGHBOURS + 1 };
    const int64_t cols = r->view.cols, batch = cl_search_batch(cols, K, pool);
    float *similarity = cl_alloc((size_t)batch, K * sizeof *similarity);
    int64_t *row = cl_alloc((size_t)batch, K * sizeof *row);
    coulis_status status = COULIS_OK;
    if (!similarity || !row) status = cl_fail_memory(error, "the report", (size_t)batch * K * 12);
    for (int64_t first = 0; first < r->count && !status; first += batch) {
        const int64_t count = r->count - first < batch ? r->count - first : batch;
        const cl_vectors queries = {r->view.x + first * cols, count, cols, r->view.squares + first};
        cl_search *search;
        status = cl_search_create(&queries, K, pool, &search, error);
        if (status) break;
        cl_search_rows(search, &r->view, 0);
        cl_search_finish(search, similarity, row);
        cl_search_free(search);
        for (int64_t q = 0; q < count; q++) {
            const int64_t to = (first + q) * CL_REPORT_NEIGHBOURS;
            int64_t kept = 0;
            for (int64_t n = 0; n < K && kept < CL_REPORT_NEIGHBOURS; n++) {
                if (row[q * K + n] == first + q) continue;
                r->neighbours[to + kept] = (int32_t)row[q * K + n];
                r->similarity[to + kept++] = row[q * K + n] < 0 ? 0 : similarity[q * K + n];
            }
        }
    }
    cl_free(similarity);
    cl_free(row);
    return status;
}

static coulis_status find_clusters(cl_report *r, uint64_t seed, cl_pool *pool, coulis_error *error) {
    cl_kmeans means = {0};
    r->clusters = r->count < CL_REPORT_CLUSTERS ? r->count : CL_REPORT_CLUSTERS;
    coulis_status status = cl_kmeans_fit(&r->view, r->clusters, seed, pool, &means, error);
    for (int64_t i = 0; i < r->count && !status; i++) r->cluster[i] = (int32_t)means.cluster[i];
    cl_kmeans_free(&means);
    return status;
}

static coulis_status join_pairs(void *context, const cl_pair *pairs, int64_t count) {
    cl_report *r = context;
    for (int64_t i = 0; i < count; i++) cl_join(r->group, pairs[i].a, pairs[i].b);
    return COULIS_OK;
}

coulis_status cl_report_make(const char *folder, const coulis_collection_options *options, cl_pool *pool,
                             cl_report *report, coulis_error *error) {
    cl_report r = {.threshold = options->threshold};
    coulis_status status = cl_collection_open(folder, "features", &r.collection, error);
    if (!status) status = cl_collection_load(&r.collection, pool, error);
    if (!status) status = choose_images(&r, error);
    if (!status) {
        number_labels(&r);
        status = place_images(&r, options, pool, error);
    }
    if (!status) status = find_neighbours(&r, pool, error);
    if (!status) status = find_clusters(&r, (uint64_t)options->seed, pool, error);
    for (int64_t i = 0; i < r.count && !status; i++) r.group[i] = i;
    if (!status) status = cl_pairs_find(&r.view, NULL, r.threshold, pool, join_pairs, &r, NULL, error);
    for (int64_t i = 0; i < r.count && !status; i++) r.group[i] = cl_root(r.group, i);
    if (status) cl_report_free(&r);
    else *report = r;
    return status;
}
