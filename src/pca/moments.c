#include "pca/moments.h"

#include <math.h>
#include <stdatomic.h>

#include "base/sized.h"
#include "pca/pca.h"

/* Rows that are searched for numbers that are not finite at a time. */
#define CHECKED 32

int64_t coulis_moments_leaf_rows(int64_t cols) {
    if (cols < 1 || cols > CL_SIDE_MAX) return 0;
    int64_t rows = CL_COVARIANCE_BLOCK;
    while (rows < cols / 2) rows *= 2;
    return rows;
}

int64_t coulis_moments_columns(const coulis_moments *m) { return m->cols; }

int64_t coulis_moments_rows(const coulis_moments *m) {
    int64_t rows = m->rest_rows;
    for (int64_t i = 0; i < m->count; i++) rows += m->nodes[i].sums.rows;
    return rows;
}

/* ---- nodes ------------------------------------------------------------------------------------ */

coulis_status cl_sums_alloc(int64_t cols, cl_sums *sums, coulis_error *error) {
    size_t size = (size_t)cl_triangle_size(cols);
    *sums = (cl_sums){.mean = cl_alloc((size_t)cols, sizeof *sums->mean),
                      .triangle = cl_alloc(size, sizeof *sums->triangle)};
    if (sums->mean && sums->triangle) return COULIS_OK;
    cl_sums_free(sums);
    return cl_fail_memory(error, "sums of rows", size * sizeof *sums->triangle);
}

void cl_sums_free(cl_sums *sums) {
    cl_free(sums->mean);
    cl_free(sums->triangle);
    *sums = (cl_sums){0};
}

int64_t cl_moments_node_begin(const coulis_moments *m, const cl_moments_node *node) {
    return (node->index << node->level) * m->leaf;
}

int64_t cl_moments_node_end(const coulis_moments *m, const cl_moments_node *node) {
    return ((node->index + 1) << node->level) * m->leaf;
}

coulis_status cl_moments_make_room(coulis_moments *m, int64_t more, coulis_error *error) {
    if (m->count + more <= m->room) return COULIS_OK;
    int64_t room = 2 * m->room > m->count + more ? 2 * m->room : m->count + more;
    cl_moments_node *nodes = cl_grow(m->nodes, (size_t)room, sizeof *nodes);
    if (!nodes) return cl_fail_memory(error, "sums of rows", (size_t)room * sizeof *nodes);
    m->nodes = nodes;
    m->room = room;
    return COULIS_OK;
}

/* Node number `at` and its sibling become one when both are there, whichever came first, and so on: what a node holds
 * depends on its rows alone. */
static void merge_siblings(coulis_moments *m, int64_t at) {
    for (;;) {
        if (m->nodes[at].index % 2) at--; /* its left sibling, if there is one, is before it */
        if (at < 0 || at + 1 == m->count) return;
        cl_moments_node *left = &m->nodes[at], *right = left + 1;
        if (left->level != right->level || left->index % 2 || left->index + 1 != right->index) return;
        cl_covariance_merge(m->pool, m->cols, &left->sums, &right->sums, &left->sums);
        left->level++;
        left->index /= 2;
        cl_sums_free(&m->spare);
        m->spare = right->sums;
        memmove(right, right + 1, (size_t)(m->count - at - 2) * sizeof *right);
        m->count--;
    }
}

void cl_moments_put(coulis_moments *m, const cl_moments_node *node) {
    int64_t at = m->count;
    while (at > 0 && cl_moments_node_begin(m, &m->nodes[at - 1]) > cl_moments_node_begin(m, node)) at--;
    memmove(m->nodes + at + 1, m->nodes + at, (size_t)(m->count - at) * sizeof *m->nodes);
    m->nodes[at] = *node;
    m->count++;
    merge_siblings(m, at);
}

/* ---- an accumulator ----------------------------------------------------------------------------- */

coulis_status cl_moments_create(int64_t cols, int64_t first_row, cl_pool *pool, coulis_moments **moments,
                                coulis_error *error) {
    int64_t leaf = coulis_moments_leaf_rows(cols);
    if (leaf == 0)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "moments are of 1 to %d columns, not %lld", CL_SIDE_MAX,
                       (long long)cols);
    if (first_row < 0 || first_row > CL_ROWS_MAX || first_row % leaf)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "the first row of moments of %lld columns must be a multiple of %lld, not %lld", (long long)cols,
                       (long long)leaf, (long long)first_row);
    coulis_moments *m = cl_alloc_zero(1, sizeof *m);
    if (!m) return cl_fail_memory(error, "moments", sizeof *m);
    *m = (coulis_moments){.cols = cols, .leaf = leaf, .next = first_row, .pool = pool};
    *moments = m;
    return COULIS_OK;
}

void coulis_moments_options_init(coulis_moments_options *options, size_t size) {
    const coulis_moments_options defaults = {.size = sizeof defaults};
    cl_sized_init(options, size, &defaults, sizeof defaults);
}

coulis_status coulis_moments_create(int64_t cols, const coulis_moments_options *options, coulis_moments **moments,
                                    coulis_error *error) {
    if (!moments) return cl_fail(error, COULIS_INVALID_ARGUMENT, "moments_create needs a place for the moments");
    coulis_moments_options wanted;
    coulis_moments_options_init(&wanted, sizeof wanted);
    coulis_status status = cl_sized_read(options, "coulis_moments_options", &wanted, sizeof wanted, error);
    if (status) return status;
    cl_pool *pool;
    status = cl_pool_create(wanted.threads, &pool, error);
    if (status) return status;
    coulis_moments *made = NULL;
    status = cl_moments_create(cols, wanted.first_row, pool, &made, error);
    if (status) {
        cl_pool_free(pool);
        return status;
    }
    made->owns_pool = true;
    *moments = made;
    return cl_done(COULIS_OK, error);
}

void coulis_moments_free(coulis_moments *m) {
    if (!m) return;
    for (int64_t i = 0; i < m->count; i++) cl_sums_free(&m->nodes[i].sums);
    cl_free(m->nodes);
    cl_free(m->rest);
    cl_covariance_close(m->work);
    cl_sums_free(&m->spare);
    if (m->owns_pool) cl_pool_free(m->pool);
    cl_free(m);
}

coulis_status cl_moments_make_rest(coulis_moments *m, coulis_error *error) {
    if (m->rest) return COULIS_OK;
    m->rest = cl_alloc((size_t)m->leaf, (size_t)m->cols * sizeof *m->rest);
    return m->rest ? COULIS_OK : cl_fail_memory(error, "rows", (size_t)(m->leaf * m->cols) * sizeof *m->rest);
}

/* The rows of one leaf, which begins with row number `first`, become a node, or join the leaf before them. */
static coulis_status put_leaf(coulis_moments *m, int64_t first, const float *x, coulis_error *error) {
    cl_moments_node node = {.index = first / m->leaf};
    for (int64_t at = 0; at < m->count && node.index % 2; at++) {
        cl_moments_node *left = &m->nodes[at];
        if (left->level || left->index + 1 != node.index) continue;
        coulis_status status = cl_covariance_join(m->work, x, first, m->leaf, &left->sums, error);
        if (status) return status;
        left->level = 1;
        left->index /= 2;
        merge_siblings(m, at);
        return COULIS_OK;
    }
    coulis_status status = cl_moments_make_room(m, 1, error);
    node.sums = m->spare;
    m->spare = (cl_sums){0};
    if (!status && !node.sums.triangle) status = cl_sums_alloc(m->cols, &node.sums, error);
    if (!status) status = cl_covariance_sum(m->work, x, first, m->leaf, &node.sums, error);
    if (status) cl_sums_free(&node.sums);
    else cl_moments_put(m, &node);
    return status;
}

typedef struct checking {
    const float *x;
    int64_t rows, cols;
    atomic_bool found;
} checking;

static void check_rows(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    checking *s = context;
    int64_t end = (piece + 1) * CHECKED < s->rows ? (piece + 1) * CHECKED : s->rows;
    const float *x = s->x + piece * CHECKED * s->cols;
    uint32_t found = 0;
    for (int64_t i = 0; i < (end - piece * CHECKED) * s->cols; i++) { /* infinity and NaN have all exponent bits */
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        found |= (bits & 0x7F800000u) == 0x7F800000u;
    }
    if (found) atomic_store_explicit(&s->found, true, memory_order_relaxed);
}

/* Names the first number that is not finite, if there is one. */
static coulis_status check_finite(const coulis_moments *m, const float *x, int64_t rows, coulis_error *error) {
    checking s = {.x = x, .rows = rows, .cols = m->cols};
    cl_pool_run(m->pool, (rows + CHECKED - 1) / CHECKED, check_rows, &s);
    for (int64_t i = 0; s.found && i < rows * m->cols; i++)
        if (!isfinite(x[i]))
            return cl_fail(error, COULIS_NUMERIC, "row %lld, column %lld of the input (counted from 0) is %s",
                           (long long)(m->next + i / m->cols), (long long)(i % m->cols),
                           isnan(x[i]) ? "not a number (NaN)" : "infinite");
    return COULIS_OK;
}

coulis_status coulis_moments_update(coulis_moments *m, const float *x, int64_t rows, coulis_error *error) {
    if (!m || rows < 0 || (rows > 0 && !x))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "moments_update needs moments and rows");
    if (rows > CL_ROWS_MAX - m->next)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "moments of more than %lld rows", CL_ROWS_MAX);
    /* The sums of one leaf find such a number themselves before they change anything. */
    bool leaf_alone = rows == m->leaf && m->rest_rows == 0;
    coulis_status status = leaf_alone ? COULIS_OK : check_finite(m, x, rows, error);
    if (!status && !m->work && m->rest_rows + rows >= m->leaf)
        status = cl_covariance_open(m->cols, m->pool, &m->work, error);
    while (rows > 0 && !status) {
        int64_t count = m->leaf - m->rest_rows < rows ? m->leaf - m->rest_rows : rows;
        const float *leaf = NULL;
        if (count == m->leaf) {
            leaf = x;
        } else if (!(status = cl_moments_make_rest(m, error))) {
            memcpy(m->rest + m->rest_rows * m->cols, x, (size_t)(count * m->cols) * sizeof *x);
            if (m->rest_rows + count == m->leaf) leaf = m->rest;
        }
        if (leaf) status = put_leaf(m, m->next - m->rest_rows, leaf, error);
        if (status) break;
        m->rest_rows = leaf ? 0 : m->rest_rows + count;
        m->next += count;
        x += count * m->cols;
        rows -= count;
    }
    return cl_done(status, error);
}

/* ---- merging -------------------------------------------------------------------------------------- */

/* Interval number i of the rows that m has: its nodes, then the unfinished leaf. */
static void get_interval(const coulis_moments *m, int64_t i, int64_t *begin, int64_t *end) {
    *begin = i < m->count ? cl_moments_node_begin(m, &m->nodes[i]) : m->next - m->rest_rows;
    *end = i < m->count ? cl_moments_node_end(m, &m->nodes[i]) : m->next;
}

/* Whether the rows of `other` are none of m's, and those of an unfinished leaf the last of all. */
static coulis_status check_merge(const coulis_moments *m, const coulis_moments *other, coulis_error *error) {
    if (m->cols != other->cols)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "moments of %lld and of %lld columns do not merge",
                       (long long)m->cols, (long long)other->cols);
    for (int64_t i = 0, j = 0; i <= m->count; i++) {
        int64_t begin, end, from, to;
        for (get_interval(m, i, &begin, &end); j <= other->count; j++) {
            get_interval(other, j, &from, &to);
            if (begin < end && from < to && from < end && begin < to)
                return cl_fail(error, COULIS_INVALID_ARGUMENT, "rows %lld to %lld are in both moments",
                               (long long)(from > begin ? from : begin), (long long)(to < end ? to : end) - 1);
            if (from >= end) break;
        }
    }
    for (int i = 0; i < 2; i++) {
        const coulis_moments *a = i ? other : m, *b = i ? m : other;
        if (a->rest_rows && coulis_moments_rows(b) && b->next > a->next)
            return cl_fail(error, COULIS_INVALID_ARGUMENT,
                           "row %lld would be missing for good: only the last part may end within a leaf of %lld rows",
                           (long long)a->next, (long long)a->leaf);
    }
    return COULIS_OK;
}

coulis_status coulis_moments_merge(coulis_moments *m, const coulis_moments *other, coulis_error *error) {
    if (!m || !other) return cl_fail(error, COULIS_INVALID_ARGUMENT, "moments_merge needs two moments");
    coulis_status status = check_merge(m, other, error);
    if (status || coulis_moments_rows(other) == 0) return cl_done(status, error);
    /* All memory first, so that a failure leaves m as it was. */
    cl_moments_node *copies = cl_alloc_zero((size_t)other->count, sizeof *copies);
    if (!copies) return cl_fail_memory(error, "sums of rows", (size_t)other->count * sizeof *copies);
    status = cl_moments_make_room(m, other->count, error);
    if (!status && other->rest_rows) status = cl_moments_make_rest(m, error);
    for (int64_t i = 0; i < other->count && !status; i++) {
        const cl_moments_node *node = &other->nodes[i];
        copies[i] = *node;
        status = cl_sums_alloc(m->cols, &copies[i].sums, error);
        if (status) break;
        copies[i].sums.rows = node->sums.rows;
        memcpy(copies[i].sums.mean, node->sums.mean, (size_t)m->cols * sizeof(double));
        memcpy(copies[i].sums.triangle, node->sums.triangle, (size_t)cl_triangle_size(m->cols) * sizeof(double));
    }
    if (status) {
        for (int64_t i = 0; i < other->count; i++) cl_sums_free(&copies[i].sums);
    } else {
        if (coulis_moments_rows(m) == 0 || other->next > m->next) m->next = other->next;
        for (int64_t i = 0; i < other->count; i++) cl_moments_put(m, &copies[i]);
        if (other->rest_rows) memcpy(m->rest, other->rest, (size_t)(other->rest_rows * m->cols) * sizeof *m->rest);
        if (other->rest_rows) m->rest_rows = other->rest_rows;
    }
    cl_free(copies);
    return cl_done(status, error);
}

/* ---- the total -------------------------------------------------------------------------------------- */

static coulis_status missing(int64_t from, int64_t to, coulis_error *error) {
    return cl_fail(error, COULIS_INVALID_ARGUMENT, "rows %lld to %lld are missing from the moments", (long long)from,
                   (long long)to - 1);
}

coulis_status cl_moments_total(const coulis_moments *m, cl_sums *sums, coulis_error *error) {
    int64_t expected = 0, left = m->count;
    for (int64_t i = 0; i < m->count; i++) {
        int64_t begin = cl_moments_node_begin(m, &m->nodes[i]);
        if (begin > expected) return missing(expected, begin, error);
        expected = cl_moments_node_end(m, &m->nodes[i]);
    }
    if (m->rest_rows && m->next - m->rest_rows > expected) return missing(expected, m->next - m->rest_rows, error);
    coulis_status status = cl_sums_alloc(m->cols, sums, error);
    if (status) return status;
    if (m->rest_rows) {
        cl_covariance *work = m->work;
        if (!work) status = cl_covariance_open(m->cols, m->pool, &work, error);
        if (!status) status = cl_covariance_sum(work, m->rest, m->next - m->rest_rows, m->rest_rows, sums, error);
        if (work != m->work) cl_covariance_close(work);
    } else if (m->count > 0) {
        const cl_sums *last = &m->nodes[--left].sums;
        sums->rows = last->rows;
        memcpy(sums->mean, last->mean, (size_t)m->cols * sizeof *sums->mean);
        memcpy(sums->triangle, last->triangle, (size_t)cl_triangle_size(m->cols) * sizeof *sums->triangle);
    }
    while (left > 0 && !status) /* from right to left: small sets first */
        cl_covariance_merge(m->pool, m->cols, &m->nodes[--left].sums, sums, sums);
    if (status) cl_sums_free(sums);
    return status;
}
