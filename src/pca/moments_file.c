/* Moments as bytes. All numbers are little-endian, as on every processor that coulis runs on:
 *
 *   8 bytes   "coulisMO"
 *   int64     version (1), columns, rows of a leaf, number of the next row, nodes, rows of the unfinished leaf
 *   for each node, by rows:
 *     int64   level, index
 *     float64 mean: columns numbers; then the triangle: columns * (columns + 1) / 2
 *   float32   the rows of the unfinished leaf */
#include <float.h>
#include <math.h>

#include "base/sized.h"
#include "pca/moments.h"

static const char MAGIC[8] = {'c', 'o', 'u', 'l', 'i', 's', 'M', 'O'};
#define VERSION 1

typedef struct header {
    char magic[8];
    int64_t version, cols, leaf, next, count, rest_rows;
} header;

_Static_assert(sizeof(header) == 56, "the header has no padding");

static size_t node_size(int64_t cols) { return 16 + 8 * (size_t)(cols + cl_triangle_size(cols)); }
static size_t rest_size(const header *h) { return (size_t)(h->rest_rows * h->cols) * sizeof(float); }

coulis_status coulis_moments_save(const coulis_moments *m, void **bytes, size_t *size, coulis_error *error) {
    if (!m || !bytes || !size)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "moments_save needs moments and a place for the bytes");
    header h = {.version = VERSION,
                .cols = m->cols,
                .leaf = m->leaf,
                .next = m->next,
                .count = m->count,
                .rest_rows = m->rest_rows};
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    size_t total = sizeof h + (size_t)m->count * node_size(m->cols) + rest_size(&h);
    uint8_t *made = cl_alloc(total, 1), *at = made;
    if (!made) return cl_fail_memory(error, "moments", total);
    memcpy(at, &h, sizeof h);
    at += sizeof h;
    for (int64_t i = 0; i < m->count; i++) {
        const cl_moments_node *node = &m->nodes[i];
        memcpy(at, (int64_t[]){node->level, node->index}, 16);
        memcpy(at += 16, node->sums.mean, (size_t)m->cols * 8);
        memcpy(at += m->cols * 8, node->sums.triangle, (size_t)cl_triangle_size(m->cols) * 8);
        at += cl_triangle_size(m->cols) * 8;
    }
    if (m->rest_rows) memcpy(at, m->rest, rest_size(&h));
    *bytes = made;
    *size = total;
    return cl_done(COULIS_OK, error);
}

void coulis_bytes_free(void *bytes) { cl_free(bytes); }

static coulis_status bad(coulis_error *error, const char *what) {
    return cl_fail(error, COULIS_BAD_DATA, "these bytes are not saved moments: %s", what);
}

static coulis_status check_header(const header *h, size_t size, coulis_error *error) {
    if (memcmp(h->magic, MAGIC, sizeof MAGIC)) return bad(error, "they begin with another mark");
    if (h->version != VERSION)
        return cl_fail(error, COULIS_BAD_DATA, "these moments are of version %lld, and this library reads version %d",
                       (long long)h->version, VERSION);
    if (h->leaf == 0 || h->leaf != coulis_moments_leaf_rows(h->cols))
        return bad(error, "their columns and their leaves do not match");
    if (h->next < 0 || h->next > CL_ROWS_MAX || h->rest_rows < 0 || h->rest_rows >= h->leaf || h->rest_rows > h->next ||
        (h->next - h->rest_rows) % h->leaf)
        return bad(error, "they end at an impossible row");
    size -= sizeof *h;
    if (rest_size(h) > size || h->count < 0 || (uint64_t)h->count > (size - rest_size(h)) / node_size(h->cols) ||
        (size_t)h->count * node_size(h->cols) != size - rest_size(h))
        return bad(error, "there are more or fewer of them than they say");
    return COULIS_OK;
}

/* Whether the rows of a node come after those of the one before it, and the two are not siblings. */
static bool is_in_place(const coulis_moments *m, const cl_moments_node *node, int64_t end) {
    if (node->level < 0 || node->level > 52 || node->index < 0 || node->index >= (CL_ROWS_MAX / m->leaf) >> node->level)
        return false;
    if (m->count > 0) {
        const cl_moments_node *left = &m->nodes[m->count - 1];
        if (cl_moments_node_begin(m, node) < cl_moments_node_end(m, left)) return false;
        if (left->level == node->level && left->index % 2 == 0 && left->index + 1 == node->index) return false;
    }
    return cl_moments_node_end(m, node) <= end;
}

/* Whether the sums could be those of finite floats, so that nothing made of them overflows. */
static bool is_possible(int64_t cols, const cl_sums *sums) {
    const double *x = sums->triangle, limit = 4.0 * FLT_MAX * FLT_MAX * (double)sums->rows;
    bool good = true;
    for (int64_t c = 0; c < cols; c++) good &= fabs(sums->mean[c]) <= (double)FLT_MAX;
    for (int64_t i = 0; i < cols; i++) {
        good &= x[0] >= 0;
        for (int64_t j = i; j < cols; j++) good &= fabs(*x++) <= limit;
    }
    return good;
}

static coulis_status load_node(coulis_moments *m, const uint8_t **at, int64_t end, coulis_error *error) {
    int64_t place[2];
    memcpy(place, *at, 16);
    cl_moments_node node = {.level = place[0], .index = place[1]};
    if (!is_in_place(m, &node, end)) return bad(error, "their parts are not in order");
    coulis_status status = cl_sums_alloc(m->cols, &node.sums, error);
    if (status) return status;
    node.sums.rows = m->leaf << node.level;
    memcpy(node.sums.mean, *at += 16, (size_t)m->cols * 8);
    memcpy(node.sums.triangle, *at += m->cols * 8, (size_t)cl_triangle_size(m->cols) * 8);
    *at += cl_triangle_size(m->cols) * 8;
    m->nodes[m->count++] = node;
    return is_possible(m->cols, &node.sums) ? COULIS_OK : bad(error, "a sum is not finite");
}

coulis_status coulis_moments_load(const void *bytes, size_t size, const coulis_moments_options *options,
                                  coulis_moments **moments, coulis_error *error) {
    if (!bytes || !moments)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "moments_load needs bytes and a place for the moments");
    header h;
    if (size < sizeof h) return bad(error, "there are too few");
    memcpy(&h, bytes, sizeof h);
    coulis_status status = check_header(&h, size, error);
    if (status) return status;
    coulis_moments *m;
    coulis_moments_options wanted;
    coulis_moments_options_init(&wanted, sizeof wanted);
    status = cl_sized_read(options, "coulis_moments_options", &wanted, sizeof wanted, error);
    wanted.first_row = 0; /* the bytes say which rows there are */
    if (!status) status = coulis_moments_create(h.cols, &wanted, &m, error);
    if (status) return status;
    const uint8_t *at = (const uint8_t *)bytes + sizeof h;
    status = cl_moments_make_room(m, h.count, error);
    for (int64_t i = 0; i < h.count && !status; i++) status = load_node(m, &at, h.next - h.rest_rows, error);
    if (!status && h.count > 0 && h.rest_rows == 0 && cl_moments_node_end(m, &m->nodes[h.count - 1]) != h.next)
        status = bad(error, "they end at an impossible row");
    if (!status && h.rest_rows) status = cl_moments_make_rest(m, error);
    if (!status && h.rest_rows) memcpy(m->rest, at, rest_size(&h));
    for (int64_t i = 0; i < h.rest_rows * h.cols && !status; i++)
        if (!isfinite(m->rest[i])) status = bad(error, "a row holds a number that is infinite or NaN");
    m->next = h.next;
    m->rest_rows = h.rest_rows;
    if (status) coulis_moments_free(m);
    else *moments = m;
    return cl_done(status, error);
}
