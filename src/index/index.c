/* The public face of the search among vectors in memory. */
#include <math.h>
#include <stdlib.h>

#include "base/sized.h"
#include "index/pairs.h"
#include "index/search.h"

struct coulis_index {
    cl_vectors vectors;
    double *squares;
    cl_pool *pool;
};

struct coulis_pairs {
    int64_t count;
    size_t room;
    cl_pair *pairs;
    int64_t *first, *second;
    float *similarity;
};

void coulis_index_options_init(coulis_index_options *options, size_t size) {
    const coulis_index_options defaults = {.size = sizeof defaults};
    cl_sized_init(options, size, &defaults, sizeof defaults);
}

coulis_status coulis_index_create(const float *vectors, int64_t rows, int64_t cols, const coulis_index_options *options,
                                  coulis_index **index, coulis_error *error) {
    if (!vectors || rows < 1 || !index)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "an index needs at least one vector");
    if (cols < 1 || cols > CL_VECTOR_LENGTH_MAX)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "vectors of an index have 1 to %d dimensions, not %lld",
                       CL_VECTOR_LENGTH_MAX, (long long)cols);
    coulis_index *made = cl_alloc_zero(1, sizeof *made);
    if (made) made->squares = cl_alloc((size_t)rows, sizeof *made->squares);
    coulis_index_options own = {.size = sizeof own};
    coulis_status status = cl_sized_read(options, "coulis_index_options", &own, sizeof own, error);
    if (!status && (!made || !made->squares)) status = cl_fail_memory(error, "an index", (size_t)rows * sizeof(double));
    if (!status) status = cl_pool_create(own.threads, &made->pool, error);
    if (!status) status = cl_squares(vectors, rows, cols, 0, made->pool, made->squares, error);
    if (status) {
        coulis_index_free(made);
        return status;
    }
    made->vectors = (cl_vectors){vectors, rows, cols, made->squares};
    *index = made;
    return cl_done(COULIS_OK, error);
}

void coulis_index_free(coulis_index *index) {
    if (!index) return;
    cl_pool_free(index->pool);
    cl_free(index->squares);
    cl_free(index);
}

/* One batch of queries. */
static coulis_status search(const coulis_index *index, const cl_vectors *queries, int64_t k, float *similarity,
                            int64_t *row, coulis_error *error) {
    cl_search *search;
    coulis_status status = cl_search_create(queries, k, index->pool, &search, error);
    if (status) return status;
    cl_search_rows(search, &index->vectors, 0);
    cl_search_finish(search, similarity, row);
    cl_search_free(search);
    return COULIS_OK;
}

coulis_status coulis_index_search(coulis_index *index, const float *queries, int64_t count, int64_t k,
                                  float *similarity, int64_t *row, coulis_error *error) {
    if (!index || count < 0 || (count > 0 && (!queries || !similarity || !row)))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "a search needs an index, queries and room for the result");
    if (k < 1 || k > index->vectors.rows)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "k must be from 1 to the number of vectors, %lld, not %lld",
                       (long long)index->vectors.rows, (long long)k);
    if (count == 0) return cl_done(COULIS_OK, error);
    double *squares = cl_alloc((size_t)count, sizeof *squares);
    if (!squares) return cl_fail_memory(error, "the queries", (size_t)count * sizeof *squares);
    const int64_t cols = index->vectors.cols, batch = cl_search_batch(cols, k, index->pool);
    coulis_status status = cl_squares(queries, count, cols, 0, index->pool, squares, error);
    for (int64_t first = 0; first < count && !status; first += batch) {
        const int64_t rows = count - first < batch ? count - first : batch;
        const cl_vectors part = {queries + first * cols, rows, cols, squares + first};
        status = search(index, &part, k, similarity + first * k, row + first * k, error);
    }
    cl_free(squares);
    return cl_done(status, error);
}

/* ---- pairs ---------------------------------------------------------------------- */

static coulis_status gather(void *context, const cl_pair *pairs, int64_t count) {
    coulis_pairs *all = context;
    const size_t wanted = (size_t)(all->count + count);
    if (wanted > all->room) {
        const size_t room = wanted < 2 * all->room ? 2 * all->room : wanted;
        cl_pair *grown = cl_grow(all->pairs, room, sizeof *grown);
        if (!grown) return COULIS_NO_MEMORY;
        all->pairs = grown;
        all->room = room;
    }
    for (int64_t i = 0; i < count; i++) all->pairs[all->count++] = pairs[i];
    return COULIS_OK;
}

static int by_rows(const void *x, const void *y) {
    const cl_pair *a = x, *b = y;
    if (a->a != b->a) return a->a < b->a ? -1 : 1;
    return (a->b > b->b) - (a->b < b->b);
}

/* Sorts the pairs and lays them out as three columns. */
static coulis_status lay_out(coulis_pairs *all, coulis_error *error) {
    const size_t count = (size_t)all->count;
    if (count) qsort(all->pairs, count, sizeof *all->pairs, by_rows);
    all->first = cl_alloc(count, sizeof *all->first);
    all->second = cl_alloc(count, sizeof *all->second);
    all->similarity = cl_alloc(count, sizeof *all->similarity);
    if (!all->first || !all->second || !all->similarity) return cl_fail_memory(error, "the pairs", count * 20);
    for (size_t i = 0; i < count; i++) {
        all->first[i] = all->pairs[i].a;
        all->second[i] = all->pairs[i].b;
        all->similarity[i] = (float)all->pairs[i].similarity;
    }
    cl_free(all->pairs);
    all->pairs = NULL;
    return COULIS_OK;
}

coulis_status coulis_index_pairs(coulis_index *index, const coulis_index *other, double threshold, coulis_pairs **pairs,
                                 coulis_error *error) {
    if (!index || !pairs) return cl_fail(error, COULIS_INVALID_ARGUMENT, "pairs are of an index");
    if (!(threshold >= -1 && threshold <= 1))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "the threshold must be from -1 to 1, not %g", threshold);
    if (other && other->vectors.cols != index->vectors.cols)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "vectors of %lld and %lld dimensions cannot be compared",
                       (long long)index->vectors.cols, (long long)other->vectors.cols);
    coulis_pairs *all = cl_alloc_zero(1, sizeof *all);
    if (!all) return cl_fail_memory(error, "the pairs", sizeof *all);
    coulis_status status = cl_pairs_find(&index->vectors, other ? &other->vectors : NULL, threshold, index->pool,
                                         gather, all, NULL, error);
    if (!status) status = lay_out(all, error);
    else if (status == COULIS_NO_MEMORY)
        cl_fail(error, status, "out of memory for the pairs above %g; a higher threshold has fewer", threshold);
    if (status) coulis_pairs_free(all);
    else *pairs = all;
    return cl_done(status, error);
}

void coulis_pairs_free(coulis_pairs *pairs) {
    if (!pairs) return;
    cl_free(pairs->pairs);
    cl_free(pairs->first);
    cl_free(pairs->second);
    cl_free(pairs->similarity);
    cl_free(pairs);
}

int64_t coulis_pairs_count(const coulis_pairs *pairs) { return pairs->count; }
const int64_t *coulis_pairs_first(const coulis_pairs *pairs) { return pairs->first; }
const int64_t *coulis_pairs_second(const coulis_pairs *pairs) { return pairs->second; }
const float *coulis_pairs_similarity(const coulis_pairs *pairs) { return pairs->similarity; }
