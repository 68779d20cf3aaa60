#include "pca/band.h"

#include <math.h>

#include "pca/kernels/kernels.h"

/* Schreiber and Van Loan, A storage-efficient WY representation for products of Householder transformations, 1989:
 * the product of a panel's reflections is Q = I - V T V^T, T being upper triangular, so that
 *
 *   Q^T A Q = A - V X^T - X V^T, where X = Y T - V (T^T V^T Y T) / 2 and Y = A V.
 *
 * Bischof, Lang and Sun, A framework for symmetric band reduction, 2000: the way over the band. */

#define B CL_PANEL
/* Rows that are multiplied with a panel at a time; rows of a strip of the update. Multiples of every tile's height but
 * for a few. */
#define ROWS 48
#define STRIP 96
/* Rows of a panel that stay in the first-level cache: 16 KiB of them. */
#define RUN 64

typedef struct reduction {
    const cl_pca_kernels *kernels;
    int64_t n;
    double *matrix;
    /* The current panel: rows `first` .. first+B-1, whose columns from first+B on are cleared. */
    int64_t first, rest;  /* rest = n - first - B */
    double *v, *y;        /* rest x B */
    double *left;         /* rest x 2B: -V, -X */
    double *right;        /* panels of 2B x B: X^T over V^T */
    double *t;            /* B x B */
    double square[B * B]; /* V^T V, later minus half of T^T V^T Y T */
} reduction;

int64_t cl_band_size(int64_t n) { return (CL_BAND_STRIDE + 1) * (n + 2 * B); }
int64_t cl_band_triangles_size(int64_t n) { return (n + B - 1) / B * B * B; }

/* The reflector of row i of the panel, applied to the rows below it. */
static void reflect_row(const reduction *s, int64_t i, double *tau) {
    double *row = s->matrix + (s->first + i) * s->n + s->first + B;
    int64_t after = s->rest - i - 1;
    *tau = 0;
    if (after < 1) return;
    double square = s->kernels->row_dot(after, row + i + 1, row + i + 1);
    if (square < CL_VANISHED) {
        memset(row + i + 1, 0, (size_t)after * sizeof *row);
        return;
    }
    double head = row[i], length = sqrt(head * head + square), end = head > 0 ? -length : length;
    double factor = 1 / (head - end);
    *tau = (end - head) / end;
    row[i] = end;
    for (int64_t c = i + 1; c < s->rest; c++) row[c] *= factor;
    for (int64_t other = i + 1; other < B; other++) {
        double *below = row + (other - i) * s->n;
        double along = *tau * (below[i] + s->kernels->row_dot(after, row + i + 1, below + i + 1));
        below[i] -= along;
        s->kernels->row_add(after, -along, row + i + 1, below + i + 1);
    }
}

/* Row c of the matrix, from the diagonal to the end of the band, into both halves of the band. */
static void keep_band(int64_t n, const double *matrix, int64_t c, double *band) {
    for (int64_t k = 0; k <= B && c + k < n; k++) {
        double value = matrix[c * n + c + k];
        band[B + c + k + c * CL_BAND_STRIDE] = value;
        if (k < B) band[B + c + (c + k) * CL_BAND_STRIDE] = value;
    }
}

/* T from its diagonal, the taus, and V^T V. */
static void make_triangle(const double *square, const double *taus, double *t) {
    memset(t, 0, B * B * sizeof *t);
    for (int i = 0; i < B; i++) {
        for (int r = 0; r < i; r++) {
            double sum = 0;
            for (int c = r; c < i; c++) sum += t[r * B + c] * square[c * B + i];
            t[r * B + i] = -taus[i] * sum;
        }
        t[i * B + i] = taus[i];
    }
}

static void pack_rows(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const reduction *s = context;
    const double *rows = s->matrix + s->first * s->n + s->first + B;
    for (int64_t c = piece * ROWS; c < cl_smaller((piece + 1) * ROWS, s->rest); c++)
        for (int64_t i = 0; i < B; i++) s->v[c * B + i] = rows[i * s->n + c];
}

/* Y = A V for some rows; and, as one more piece, V^T V. Only what is above the diagonal is read: what belongs to
 * the left of it is brought into `turned` run by run. */
static void multiply_rows(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    reduction *s = context;
    int64_t begin = piece * ROWS, height = cl_smaller(ROWS, s->rest - begin);
    if (begin >= s->rest) {
        memset(s->square, 0, sizeof s->square);
        s->kernels->multiply(B, B, s->rest, s->v, 1, B, s->v, s->square, B);
        return;
    }
    double turned[RUN * ROWS], *y = s->y + begin * B;
    const double *a = s->matrix + (s->first + B) * (s->n + 1);
    memset(y, 0, (size_t)(height * B) * sizeof *y);
    for (int64_t run = 0; run < begin; run += RUN) {
        int64_t length = cl_smaller(RUN, begin - run);
        for (int64_t t = 0; t < length; t++)
            memcpy(turned + t * ROWS, a + (run + t) * s->n + begin, (size_t)height * sizeof *turned);
        s->kernels->multiply(height, B, length, turned, 1, ROWS, s->v + run * B, y, B);
    }
    for (int64_t t = 0; t < height; t++)
        for (int64_t i = t; i < height; i++)
            turned[t * ROWS + i] = turned[i * ROWS + t] = a[(begin + t) * s->n + begin + i];
    s->kernels->multiply(height, B, height, turned, 1, ROWS, s->v + begin * B, y, B);
    for (int64_t run = begin + height; run < s->rest; run += RUN)
        s->kernels->multiply(height, B, cl_smaller(RUN, s->rest - run), a + begin * s->n + run, s->n, 1, s->v + run * B,
                             y, B);
}

/* X = Y T + V times the square, for some rows; laid out for the update. */
static void make_factors(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const reduction *s = context;
    int64_t begin = piece * ROWS, height = cl_smaller(ROWS, s->rest - begin);
    double x[ROWS * B] = {0};
    s->kernels->multiply(height, B, B, s->y + begin * B, B, 1, s->t, x, B);
    s->kernels->multiply(height, B, B, s->v + begin * B, B, 1, s->square, x, B);
    for (int64_t r = begin; r < begin + height; r++) {
        const double *v = s->v + r * B, *w = x + (r - begin) * B;
        double *left = s->left + r * 2 * B, *right = s->right + r / B * 2 * B * B + r % B;
        for (int64_t i = 0; i < B; i++) {
            left[i] = -v[i];
            left[B + i] = -w[i];
            right[i * B] = w[i];
            right[(B + i) * B] = v[i];
        }
    }
}

/* A -= V X^T + X V^T for a strip of rows from the diagonal on. */
static void update_strip(void *context, int64_t piece, int32_t worker) {
    (void)worker;
    const reduction *s = context;
    int64_t begin = piece * STRIP, height = cl_smaller(STRIP, s->rest - begin);
    double *a = s->matrix + (s->first + B) * (s->n + 1);
    for (int64_t c = begin; c < s->rest; c += B) {
        s->kernels->multiply(height, cl_smaller(B, s->rest - c), 2 * B, s->left + begin * 2 * B, 2 * B, 1,
                             s->right + c * 2 * B, a + begin * s->n + c, s->n);
    }
}

static void reduce_panel(reduction *s, cl_pool *pool, double *band) {
    double taus[B], product[B * B] = {0}, turned[B * B] = {0};
    for (int64_t i = 0; i < B; i++) reflect_row(s, i, &taus[i]);
    for (int64_t i = 0; i < B; i++) {
        double *row = s->matrix + (s->first + i) * s->n + s->first + B;
        keep_band(s->n, s->matrix, s->first + i, band);
        memset(row, 0, (size_t)cl_smaller(i, s->rest) * sizeof *row);
        if (i < s->rest) row[i] = 1;
    }
    int64_t pieces = (s->rest + ROWS - 1) / ROWS;
    cl_pool_run(pool, pieces, pack_rows, s);
    cl_pool_run(pool, pieces + 1, multiply_rows, s);
    make_triangle(s->square, taus, s->t);
    /* -T^T (V^T Y) T / 2 */
    s->kernels->multiply(B, B, s->rest, s->v, 1, B, s->y, product, B);
    s->kernels->multiply(B, B, B, product, B, 1, s->t, turned, B);
    memset(s->square, 0, sizeof s->square);
    s->kernels->multiply(B, B, B, s->t, 1, B, turned, s->square, B);
    for (int i = 0; i < B * B; i++) s->square[i] *= -0.5;
    cl_pool_run(pool, pieces, make_factors, s);
    cl_pool_run(pool, (s->rest + STRIP - 1) / STRIP, update_strip, s);
}

coulis_status cl_band_reduce(cl_pool *pool, int64_t n, double *matrix, double *triangles, double *band,
                             coulis_error *error) {
    size_t rows = (size_t)(n + B - 1) / B * B, bytes = B * sizeof(double);
    reduction s = {.kernels = cl_pca_kernels_get(),
                   .n = n,
                   .matrix = matrix,
                   .v = cl_alloc(rows, bytes),
                   .y = cl_alloc(rows, bytes),
                   .left = cl_alloc(rows, 2 * bytes),
                   .right = cl_alloc(rows, 2 * bytes)};
    coulis_status status = COULIS_OK;
    if (!s.v || !s.y || !s.left || !s.right) {
        status = cl_fail_memory(error, "the eigenproblem", rows * 6 * bytes);
    } else {
        memset(band, 0, (size_t)cl_band_size(n) * sizeof *band);
        memset(s.right, 0, rows * 2 * bytes); /* the last panel's columns past the end are read, not stored */
        for (s.first = 0; n - s.first - B >= 2; s.first += B) {
            s.rest = n - s.first - B;
            s.t = triangles + s.first * B;
            reduce_panel(&s, pool, band);
        }
        for (int64_t c = s.first; c < n; c++) keep_band(n, matrix, c, band);
    }
    cl_free(s.v);
    cl_free(s.y);
    cl_free(s.left);
    cl_free(s.right);
    return status;
}

void cl_band_turn_back(int64_t n, const double *matrix, const double *triangles, double *scratch, double *z) {
    const cl_pca_kernels *kernels = cl_pca_kernels_get();
    for (int64_t first = (n - 2) / B * B; first >= 0; first -= B) {
        int64_t rest = n - first - B;
        if (rest < 2) continue;
        /* z -= V (T (V^T z)) */
        const double *v = matrix + first * n + first + B;
        double product[B * B] = {0}, turned[B * B] = {0};
        kernels->multiply(B, B, rest, v, n, 1, z + (first + B) * B, product, B);
        kernels->multiply(B, B, B, triangles + first * B, B, 1, product, turned, B);
        for (int i = 0; i < B * B; i++) turned[i] = -turned[i];
        for (int64_t c = 0; c < rest; c++) /* rows n apart would fall into one set of the cache */
            for (int64_t i = 0; i < B; i++) scratch[c * B + i] = v[i * n + c];
        kernels->multiply(rest, B, B, scratch, B, 1, turned, z + (first + B) * B, B);
    }
}
