/* coulis search: the images nearest to some queries. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

#include "collection/collection.h"
#include "collection/options.h"
#include "index/search.h"
#include "table/part.h"

/* The row that `query` names: a path of the table, or the number of a row. -1 for none. */
static int64_t row_of_query(const cl_collection *c, const char *query) {
    for (int64_t r = 0; r < c->rows; r++)
        if (strcmp(c->items[r].path, query) == 0) return r;
    if (!*query || strspn(query, "0123456789") != strlen(query) || strlen(query) > 18) return -1;
    const int64_t row = strtoll(query, NULL, 10);
    return row < c->rows ? row : -1;
}

/* The vector of a query, which is a row of the table or a file, divided by its length and added to `mean`. */
static coulis_status add_query(const cl_collection *c, const char *query, const coulis_collection_options *options,
                               double *mean, float *vector, int64_t *row, coulis_error *error) {
    coulis_status status;
    *row = row_of_query(c, query);
    if (*row >= 0) {
        const cl_item *item = &c->items[*row];
        if (item->vector < 0)
            return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: has no vector in %s: %s", item->path, c->folder,
                           item->error ? item->error : coulis_status_name(item->status));
        status = cl_collection_read(c, item->vector, 1, vector, error);
    } else {
        status = cl_featurize_query(c, query, options, vector, error);
    }
    if (status) return status;
    const double square = cl_dot(vector, vector, c->vectors.cols), scale = square > 0 ? 1 / sqrt(square) : 0;
    if (!isfinite(square))
        return cl_fail(error, COULIS_NUMERIC, "%s: its vector has a value that is NaN or infinite", query);
    for (int64_t i = 0; i < c->vectors.cols; i++) mean[i] += (double)vector[i] * scale;
    return COULIS_OK;
}

/* Goes through the table a block of rows at a time. */
static coulis_status search_table(const cl_collection *c, const float *query, int64_t k, cl_pool *pool,
                                  float *similarity, int64_t *row, coulis_error *error) {
    const int64_t cols = c->vectors.cols, block = cl_row_group_rows(cols);
    float *x = cl_alloc((size_t)block, (size_t)cols * sizeof *x);
    double *squares = cl_alloc((size_t)block, sizeof *squares);
    const double square = cl_dot(query, query, cols);
    const cl_vectors queries = {query, 1, cols, &square};
    cl_search *search = NULL;
    coulis_status status = COULIS_OK;
    if (!x || !squares) status = cl_fail_memory(error, "a block of vectors", (size_t)(block * cols) * sizeof *x);
    if (!status) status = cl_search_create(&queries, k, pool, &search, error);
    for (int64_t first = 0; first < c->vectors.rows && !status; first += block) {
        const int64_t left = c->vectors.rows - first, count = left < block ? left : block;
        status = cl_collection_read(c, first, count, x, error);
        if (!status) status = cl_squares(x, count, cols, first, pool, squares, error);
        const cl_vectors rows = {x, count, cols, squares};
        if (!status) cl_search_rows(search, &rows, first);
    }
    if (!status) cl_search_finish(search, similarity, row);
    cl_search_free(search);
    cl_free(x);
    cl_free(squares);
    return status;
}

/* [{"row": 5, "path": "...", "label": "...", "similarity": 0.93}, ...], the rows that were asked for left out. */
static char *matches_json(const cl_collection *c, const float *similarity, const int64_t *vector, int64_t found,
                          const int64_t *asked, int64_t asked_count, int64_t k) {
    cJSON *array = cJSON_CreateArray();
    bool good = array;
    int64_t written = 0;
    for (int64_t i = 0; i < found && good && written < k; i++) {
        if (vector[i] < 0) break;
        const int64_t row = c->row_of[vector[i]];
        bool is_query = false;
        for (int64_t q = 0; q < asked_count; q++) is_query = is_query || asked[q] == row;
        if (is_query) continue;
        cJSON *match = cJSON_CreateObject();
        good = match && cJSON_AddItemToArray(array, match) && cJSON_AddNumberToObject(match, "row", (double)row) &&
               cJSON_AddStringToObject(match, "path", c->items[row].path) &&
               cJSON_AddStringToObject(match, "label", c->items[row].label) &&
               cJSON_AddNumberToObject(match, "similarity", (double)similarity[i]);
        written++;
    }
    return cl_json_indented(array, good);
}

coulis_status coulis_search(const char *folder, const char *const *queries, int64_t query_count,
                            const coulis_collection_options *options, char **json, coulis_error *error) {
    coulis_collection_options o;
    coulis_status status = cl_collection_options(options, &o, error);
    if (status) return status;
    if (!folder || !queries || query_count < 1 || !json)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "a search needs a folder of vectors and at least one query");
    cl_collection c = {0};
    cl_pool *pool = NULL;
    status = cl_collection_open(folder, "features", &c, error);
    if (status) return status;
    const int64_t cols = c.vectors.cols, wanted = o.k + query_count;
    const int64_t k = wanted < c.vectors.rows ? wanted : c.vectors.rows;
    double *mean = cl_alloc_zero((size_t)cols, sizeof *mean);
    float *query = cl_alloc((size_t)cols, sizeof *query), *similarity = cl_alloc((size_t)k, sizeof *similarity);
    int64_t *vector = cl_alloc((size_t)k, sizeof *vector), *asked = cl_alloc((size_t)query_count, sizeof *asked);
    if (!mean || !query || !similarity || !vector || !asked) status = cl_fail_memory(error, "a search", (size_t)k * 12);
    for (int64_t q = 0; q < query_count && !status; q++)
        status = add_query(&c, queries[q], &o, mean, query, &asked[q], error);
    if (!status) status = cl_pool_create(o.threads, &pool, error);
    if (!status) {
        for (int64_t i = 0; i < cols; i++) query[i] = (float)(mean[i] / (double)query_count);
        status = search_table(&c, query, k, pool, similarity, vector, error);
    }
    if (!status) {
        *json = matches_json(&c, similarity, vector, k, asked, query_count, o.k);
        if (!*json) status = cl_fail_memory(error, "the result", (size_t)k * 200);
    }
    cl_pool_free(pool);
    cl_free(mean);
    cl_free(query);
    cl_free(similarity);
    cl_free(vector);
    cl_free(asked);
    cl_collection_close(&c);
    return cl_done(status, error);
}
