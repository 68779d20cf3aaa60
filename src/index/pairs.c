/* Every pair is bounded from above by the product of two stand-ins (filter.h), in float32 and in tiles; the pairs whose
 * bound reaches the threshold are computed in float64. So a pair above the threshold is never lost, and none below it
 * gets in. Only one of (a, b) and (b, a) is looked at. */
#include "index/pairs.h"

#include <math.h>
#include <stdatomic.h>

#include "base/sync.h"
#include "index/filter.h"
#include "kernels/kernels.h"

/* Rows of a and of b in a tile of products, which stays in a second-level cache (96 KiB); as in search.c. */
#define HEIGHT 96
#define WIDTH 256

/* Rows whose stand-ins are one piece of work. */
#define ROWS 64

/* Pairs that a thread gathers before it hands them on. */
#define GATHERED 2048

/* One side of the search. */
typedef struct side {
    const cl_vectors *vectors;
    float *stand_ins; /* rows x length; NULL when there is no filter: unit rows are made for each tile */
} side;

typedef struct scratch {
    float *left, *right, *packed, *products, *filter;
    cl_pair *pairs;
    int64_t count, computed, found, compared;
} scratch;

typedef struct finding {
    const cl_kernels *kernels;
    cl_filter filter;
    side a, b;
    bool one; /* a and b are the same rows */
    double threshold;
    float bar;
    scratch *scratch; /* one for each thread */
    side *filled;     /* the side whose stand-ins are being made */
    coulis_status (*visit)(void *context, const cl_pair *pairs, int64_t count);
    void *context;
    cl_mutex mutex;
    _Atomic int32_t status;
} finding;

static void fill_rows(void *context, int64_t piece, int32_t worker) {
    finding *f = context;
    const side *s = f->filled;
    const int64_t first = piece * ROWS, left = s->vectors->rows - first;
    cl_filter_rows(&f->filter, s->vectors, first, left < ROWS ? left : ROWS, f->scratch[worker].filter,
                   s->stand_ins + first * f->filter.length);
}

/* Stand-ins of `count` rows; `room` has place for them where they are made now. */
static const float *stand_ins(const finding *f, const side *s, int64_t first, int64_t count, float *room) {
    if (s->stand_ins) return s->stand_ins + first * f->filter.length;
    cl_unit_rows(s->vectors, first, count, room);
    return room;
}

static void hand_on(finding *f, scratch *s) {
    cl_mutex_lock(&f->mutex);
    if (!atomic_load(&f->status)) atomic_store(&f->status, f->visit(f->context, s->pairs, s->count));
    cl_mutex_unlock(&f->mutex);
    s->found += s->count;
    s->count = 0;
}

static void consider(finding *f, scratch *s, int64_t a, int64_t b) {
    const cl_vectors *left = f->a.vectors, *right = f->b.vectors;
    const double product = cl_dot(left->x + a * left->cols, right->x + b * right->cols, left->cols);
    const double similarity = cl_cosine(product, left->squares[a], right->squares[b]);
    s->computed++;
    if (!(similarity >= f->threshold)) return;
    s->pairs[s->count++] = (cl_pair){a, b, similarity};
    if (s->count == GATHERED) hand_on(f, s);
}

/* Looks through the bounds of row a with rows b .. b+count-1, but those that come after a when both sides are one. */
static void look(finding *f, scratch *s, const float *bounds, int64_t a, int64_t b, int64_t count) {
    enum { STEP = 32 };
    const float bar = f->bar;
    for (int64_t j = 0; j < count; j += STEP) {
        const int64_t end = count - j < STEP ? count - j : STEP;
        int any = end < STEP;
        if (!any)
            for (int i = 0; i < STEP; i++) any |= bounds[j + i] >= bar;
        for (int64_t i = 0; any && i < end; i++)
            if (bounds[j + i] >= bar && (!f->one || a < b + j + i)) consider(f, s, a, b + j + i);
    }
}

/* All rows of a with a block of rows of b; when both sides are one, the rows of a before the block's end. */
static void find_block(void *context, int64_t piece, int32_t worker) {
    finding *f = context;
    scratch *s = &f->scratch[worker];
    const int64_t length = f->filter.length, blocks = (f->b.vectors->rows + WIDTH - 1) / WIDTH;
    const int64_t column = (blocks - 1 - piece) * WIDTH; /* the longest first */
    const int64_t left = f->b.vectors->rows - column, width = left < WIDTH ? left : WIDTH;
    const int64_t rows = f->one ? column + width : f->a.vectors->rows;
    f->kernels->gemm_pack(length, width, stand_ins(f, &f->b, column, width, s->right), 1, length, s->packed);
    for (int64_t first = 0; first < rows && !atomic_load(&f->status); first += HEIGHT) {
        const int64_t count = rows - first < HEIGHT ? rows - first : HEIGHT;
        const cl_gemm product = {.m = count,
                                 .k = length,
                                 .columns = width,
                                 .a = stand_ins(f, &f->a, first, count, s->left),
                                 .a_stride = length,
                                 .b = s->packed,
                                 .c = s->products,
                                 .c_stride = WIDTH,
                                 .low = -INFINITY,
                                 .high = INFINITY};
        f->kernels->gemm(&product);
        for (int64_t r = 0; r < count; r++) look(f, s, s->products + r * WIDTH, first + r, column, width);
        s->compared += count * width;
    }
}

static bool make_scratch(const finding *f, scratch *s) {
    const int64_t length = f->filter.length, cols = f->a.vectors->cols;
    const bool whole = !f->filter.directions;
    s->left = cl_alloc(whole ? HEIGHT : 0, (size_t)length * sizeof(float));
    s->right = cl_alloc(whole ? WIDTH : 0, (size_t)length * sizeof(float));
    s->packed = cl_alloc((size_t)f->kernels->gemm_packed_count(length, WIDTH), sizeof(float));
    s->products = cl_alloc(HEIGHT * WIDTH, sizeof(float));
    s->filter = cl_alloc(whole ? 0 : ROWS, (size_t)(cols + 2 * length) * sizeof(float));
    s->pairs = cl_alloc(GATHERED, sizeof *s->pairs);
    return s->left && s->right && s->packed && s->products && s->filter && s->pairs;
}

static void free_scratch(scratch *s) {
    cl_free(s->left);
    cl_free(s->right);
    cl_free(s->packed);
    cl_free(s->products);
    cl_free(s->filter);
    cl_free(s->pairs);
}

/* Makes the stand-ins of a side, where there is a filter. */
static coulis_status fill_side(finding *f, side *s, cl_pool *pool, coulis_error *error) {
    if (!f->filter.directions) return COULIS_OK;
    s->stand_ins = cl_alloc((size_t)s->vectors->rows, (size_t)f->filter.length * sizeof *s->stand_ins);
    if (!s->stand_ins)
        return cl_fail_memory(error, "bounds", (size_t)(s->vectors->rows * f->filter.length) * sizeof(float));
    f->filled = s;
    cl_pool_run(pool, (s->vectors->rows + ROWS - 1) / ROWS, fill_rows, f);
    return COULIS_OK;
}

static coulis_status find(finding *f, cl_pool *pool, coulis_error *error) {
    const int32_t threads = cl_pool_threads(pool);
    coulis_status status = fill_side(f, &f->a, pool, error);
    if (!status && !f->one) status = fill_side(f, &f->b, pool, error);
    if (status) return status;
    if (f->one) f->b.stand_ins = f->a.stand_ins;
    cl_pool_run(pool, (f->b.vectors->rows + WIDTH - 1) / WIDTH, find_block, f);
    for (int32_t i = 0; i < threads; i++) hand_on(f, &f->scratch[i]);
    status = (coulis_status)atomic_load(&f->status);
    return status ? cl_fail(error, status, "the search for pairs was stopped") : COULIS_OK;
}

coulis_status cl_pairs_find(const cl_vectors *a, const cl_vectors *b, double threshold, cl_pool *pool,
                            coulis_status (*visit)(void *context, const cl_pair *pairs, int64_t count), void *context,
                            cl_pairs_work *work, coulis_error *error) {
    const int32_t threads = cl_pool_threads(pool);
    finding f = {.kernels = cl_kernels_get(),
                 .a.vectors = a,
                 .b.vectors = b ? b : a,
                 .one = !b,
                 .visit = visit,
                 .threshold = threshold,
                 .context = context,
                 .mutex = CL_MUTEX_INIT};
    atomic_init(&f.status, 0);
    coulis_status status = cl_filter_choose(a, threshold, pool, &f.filter, error);
    if (status) return status;
    f.bar = cl_below(threshold - f.filter.error);
    f.scratch = cl_alloc_zero((size_t)threads, sizeof *f.scratch);
    bool good = f.scratch;
    for (int32_t i = 0; i < threads && good; i++) good = make_scratch(&f, &f.scratch[i]);
    status = good ? find(&f, pool, error) : cl_fail(error, COULIS_NO_MEMORY, "out of memory to compare vectors");
    if (work) *work = (cl_pairs_work){.numbers = f.filter.length};
    for (int32_t i = 0; f.scratch && i < threads; i++) {
        if (work) {
            work->pairs += f.scratch[i].compared;
            work->computed += f.scratch[i].computed;
            work->found += f.scratch[i].found;
        }
        free_scratch(&f.scratch[i]);
    }
    cl_free(f.scratch);
    cl_free(f.a.stand_ins);
    if (!f.one) cl_free(f.b.stand_ins);
    cl_filter_free(&f.filter);
    return status;
}
