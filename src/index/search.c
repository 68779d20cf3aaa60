/* Each thread takes tiles of rows, multiplies them by all queries in float32, and looks at every product that could be
 * among the k largest so far: its similarity is computed in float64 and, if it is, takes its place in the query's heap.
 * A heap's bar is the similarity of the last of its k, less the bound on the error of a float32 product; below it no
 * product needs a look. The k largest of a set, with ties settled by row, are the same in whatever order and heaps they
 * are gathered, so the result depends on no thread. Of n rows in random order about k log(n / k) pass the bar. */
#include "index/search.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/kernels.h"

/* Queries multiplied at a time, and rows: the products of a tile (96 KiB) stay in a second-level cache. 96 rows are a
 * multiple of the height of the product's register tiles, 6 and 8. Long rows come in tiles of fewer, so that a tile
 * stays below 10 MiB at the longest rows of a network (100,352). */
#define QUERIES 256
#define TILE 96
#define TILE_LONG 24
#define LONG 4096

/* Tiles in a piece of work. */
#define PIECE 8

/* What a search may hold: packed queries, and heaps. */
#define BATCH_BYTES ((int64_t)64 << 20)

typedef struct neighbour {
    double similarity;
    int64_t row;
} neighbour;

/* What one thread has found: for each query a heap whose root is the last of its neighbours. */
typedef struct found {
    neighbour *heap; /* queries x k */
    int64_t *held;   /* queries */
    float *bar;      /* padded queries; +infinity in the padding */
    float *units, *products;
} found;

struct cl_search {
    const cl_kernels *kernels;
    cl_pool *pool;
    cl_vectors queries;
    int64_t k, tile, padded;
    float *packed;        /* blocks of QUERIES queries, each packed for the product */
    int64_t packed_block; /* numbers of a whole block */
    double error;         /* of a product */
    found *found;         /* one for each thread */
    /* The rows being gone through. */
    const cl_vectors *rows;
    int64_t first_row;
};

int64_t cl_search_batch(int64_t cols, int64_t k, const cl_pool *pool) {
    const int64_t of_heaps = BATCH_BYTES / (int64_t)sizeof(neighbour) / k / cl_pool_threads(pool);
    const int64_t of_queries = BATCH_BYTES / (int64_t)sizeof(float) / cols;
    const int64_t batch = of_heaps < of_queries ? of_heaps : of_queries;
    return batch < 1 ? 1 : batch > QUERIES ? batch / QUERIES * QUERIES : batch;
}

void cl_search_free(cl_search *search) {
    if (!search) return;
    for (int32_t i = 0; search->found && i < cl_pool_threads(search->pool); i++) {
        cl_free(search->found[i].heap);
        cl_free(search->found[i].held);
        cl_free(search->found[i].bar);
        cl_free(search->found[i].units);
        cl_free(search->found[i].products);
    }
    cl_free(search->found);
    cl_free(search->packed);
    cl_free(search);
}

/* The room of one thread; false when memory is short. */
static bool make_found(const cl_search *s, found *f) {
    const size_t count = (size_t)s->queries.rows, tile = (size_t)s->tile;
    if (s->k > INT64_MAX / 16 / s->queries.rows) return false;
    f->heap = cl_alloc(count * (size_t)s->k, sizeof *f->heap);
    f->held = cl_alloc_zero(count, sizeof *f->held);
    f->bar = cl_alloc((size_t)s->padded, sizeof *f->bar);
    f->units = cl_alloc(tile * (size_t)s->queries.cols, sizeof *f->units);
    f->products = cl_alloc(tile * QUERIES, sizeof *f->products);
    if (!f->heap || !f->held || !f->bar || !f->units || !f->products) return false;
    for (int64_t i = 0; i < s->padded; i++) f->bar[i] = i < s->queries.rows ? -INFINITY : INFINITY;
    return true;
}

/* Packs the queries, divided by their lengths, in blocks. */
static coulis_status pack_queries(cl_search *s, coulis_error *error) {
    const int64_t cols = s->queries.cols, blocks = s->padded / QUERIES;
    s->packed_block = s->kernels->gemm_packed_count(cols, QUERIES);
    s->packed = cl_alloc((size_t)blocks, (size_t)s->packed_block * sizeof *s->packed);
    float *units = cl_alloc(QUERIES, (size_t)cols * sizeof *units);
    coulis_status status = COULIS_OK;
    if (!s->packed || !units)
        status = cl_fail_memory(error, "the queries", (size_t)s->padded * (size_t)cols * sizeof(float));
    for (int64_t b = 0; b < blocks && !status; b++) {
        const int64_t first = b * QUERIES, left = s->queries.rows - first, count = left < QUERIES ? left : QUERIES;
        cl_unit_rows(&s->queries, first, count, units);
        s->kernels->gemm_pack(cols, count, units, 1, cols, s->packed + b * s->packed_block);
    }
    cl_free(units);
    return status;
}

coulis_status cl_search_create(const cl_vectors *queries, int64_t k, cl_pool *pool, cl_search **search,
                               coulis_error *error) {
    cl_search *s = cl_alloc_zero(1, sizeof *s);
    if (!s) return cl_fail_memory(error, "a search", sizeof *s);
    *s = (cl_search){.kernels = cl_kernels_get(),
                     .pool = pool,
                     .queries = *queries,
                     .k = k,
                     .tile = queries->cols < LONG ? TILE : TILE_LONG,
                     .padded = (queries->rows + QUERIES - 1) / QUERIES * QUERIES,
                     .error = cl_product_error(queries->cols)};
    const int32_t threads = cl_pool_threads(pool);
    s->found = cl_alloc_zero((size_t)threads, sizeof *s->found);
    bool good = s->found;
    for (int32_t i = 0; i < threads && good; i++) good = make_found(s, &s->found[i]);
    coulis_status status = COULIS_OK;
    if (!good)
        status = cl_fail(error, COULIS_NO_MEMORY, "out of memory for %lld neighbours of %lld queries", (long long)k,
                         (long long)queries->rows);
    if (!status) status = pack_queries(s, error);
    if (status) cl_search_free(s);
    else *search = s;
    return status;
}

/* Whether a comes behind b among the neighbours. */
static bool behind(neighbour a, neighbour b) {
    return a.similarity < b.similarity || (a.similarity == b.similarity && a.row > b.row);
}

/* Puts `entry` into the heap of `count` entries at `place`, and what is behind it above. */
static void sift_up(neighbour *heap, int64_t place, neighbour entry) {
    for (int64_t parent; place > 0 && behind(entry, heap[parent = (place - 1) / 2]); place = parent)
        heap[place] = heap[parent];
    heap[place] = entry;
}

static void replace_root(neighbour *heap, int64_t count, neighbour entry) {
    int64_t place = 0;
    for (int64_t child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && behind(heap[child + 1], heap[child])) child++;
        if (!behind(heap[child], entry)) break;
        heap[place] = heap[child];
    }
    heap[place] = entry;
}

/* Computes a similarity in float64 and enters it if it is among the k largest. */
static void consider(const cl_search *s, found *f, int64_t query, int64_t row) {
    const int64_t cols = s->queries.cols;
    const double product = cl_dot(s->queries.x + query * cols, s->rows->x + row * cols, cols);
    const neighbour entry = {cl_cosine(product, s->queries.squares[query], s->rows->squares[row]), s->first_row + row};
    neighbour *heap = f->heap + query * s->k;
    if (f->held[query] < s->k) sift_up(heap, f->held[query]++, entry);
    else if (behind(heap[0], entry)) replace_root(heap, s->k, entry);
    if (f->held[query] == s->k) f->bar[query] = cl_below(heap[0].similarity - s->error);
}

/* Looks through the products of one row with `count` queries, a register's padding included. */
static void look(const cl_search *s, found *f, const float *products, int64_t query, int64_t count, int64_t row) {
    enum { STEP = 32 };
    for (int64_t j = 0; j < count; j += STEP) {
        const float *product = products + j, *bar = f->bar + query + j;
        const int64_t end = count - j < STEP ? count - j : STEP;
        int any = end < STEP;
        if (!any)
            for (int i = 0; i < STEP; i++) any |= product[i] >= bar[i];
        for (int64_t i = 0; any && i < end; i++)
            if (product[i] >= bar[i]) consider(s, f, query + j + i, row);
    }
}

static void search_tiles(void *context, int64_t piece, int32_t worker) {
    const cl_search *s = context;
    found *f = &s->found[worker];
    const int64_t cols = s->queries.cols, end = (piece + 1) * PIECE * s->tile;
    const int64_t last = end < s->rows->rows ? end : s->rows->rows;
    for (int64_t first = piece * PIECE * s->tile; first < last; first += s->tile) {
        const int64_t count = last - first < s->tile ? last - first : s->tile;
        cl_unit_rows(s->rows, first, count, f->units);
        for (int64_t query = 0; query < s->queries.rows; query += QUERIES) {
            const int64_t left = s->queries.rows - query;
            const cl_gemm product = {.m = count,
                                     .k = cols,
                                     .columns = left < QUERIES ? left : QUERIES,
                                     .a = f->units,
                                     .a_stride = cols,
                                     .b = s->packed + query / QUERIES * s->packed_block,
                                     .c = f->products,
                                     .c_stride = QUERIES,
                                     .low = -INFINITY,
                                     .high = INFINITY};
            s->kernels->gemm(&product);
            const int64_t width = cl_padded(s->kernels, product.columns);
            for (int64_t r = 0; r < count; r++) look(s, f, f->products + r * QUERIES, query, width, first + r);
        }
    }
}

void cl_search_rows(cl_search *search, const cl_vectors *rows, int64_t first_row) {
    search->rows = rows;
    search->first_row = first_row;
    const int64_t piece = PIECE * search->tile;
    cl_pool_run(search->pool, (rows->rows + piece - 1) / piece, search_tiles, search);
}

static int by_rank(const void *a, const void *b) {
    const neighbour *x = a, *y = b;
    return behind(*x, *y) - behind(*y, *x);
}

void cl_search_finish(cl_search *search, float *similarity, int64_t *row) {
    const int64_t k = search->k;
    const int32_t threads = cl_pool_threads(search->pool);
    for (int64_t q = 0; q < search->queries.rows; q++) {
        found *all = &search->found[0];
        neighbour *heap = all->heap + q * k;
        for (int32_t t = 1; t < threads; t++) {
            const found *other = &search->found[t];
            for (int64_t i = 0; i < other->held[q]; i++) {
                const neighbour entry = other->heap[q * k + i];
                if (all->held[q] < k) sift_up(heap, all->held[q]++, entry);
                else if (behind(heap[0], entry)) replace_root(heap, k, entry);
            }
        }
        qsort(heap, (size_t)all->held[q], sizeof *heap, by_rank);
        for (int64_t i = 0; i < k; i++) {
            const bool is = i < all->held[q];
            similarity[q * k + i] = is ? (float)heap[i].similarity : -INFINITY;
            row[q * k + i] = is ? heap[i].row : -1;
        }
    }
}
