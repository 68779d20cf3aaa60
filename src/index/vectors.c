#include "index/vectors.h"

#include <math.h>
#include <stdatomic.h>

/* Half a unit in the last place of 1 in float32. */
#define HALF_UNIT 0x1p-24

double cl_dot(const float *a, const float *b, int64_t count) {
    enum { LANES = 8 };
    double sum[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int j = 0; j < LANES; j++) sum[j] += (double)a[i + j] * (double)b[i + j];
    for (int j = 0; i < count; i++, j++) sum[j] += (double)a[i] * (double)b[i];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

double cl_cosine(double product, double a_square, double b_square) {
    /* Squares of float32 numbers are from 1e-90 to 1e83, so their product neither overflows nor vanishes. */
    const double size = sqrt(a_square * b_square);
    return size > 0 ? product / size : 0;
}

/* Rows whose squares are one piece of work. */
#define ROWS 256

typedef struct squaring {
    const float *x;
    int64_t rows, cols;
    double *squares;
    _Atomic int64_t bad; /* the first row that is not finite; `rows` when there is none */
} squaring;

static void square_rows(void *context, int64_t piece, int32_t worker) {
    squaring *s = context;
    (void)worker;
    const int64_t first = piece * ROWS, last = first + ROWS < s->rows ? first + ROWS : s->rows;
    for (int64_t r = first; r < last; r++) {
        const float *row = s->x + r * s->cols;
        s->squares[r] = cl_dot(row, row, s->cols);
        /* Squares of finite float32 numbers do not overflow a double. */
        if (isfinite(s->squares[r])) continue;
        int64_t known = atomic_load(&s->bad);
        while (r < known && !atomic_compare_exchange_weak(&s->bad, &known, r)) continue;
    }
}

coulis_status cl_squares(const float *x, int64_t rows, int64_t cols, int64_t first_row, cl_pool *pool, double *squares,
                         coulis_error *error) {
    squaring s = {.x = x, .rows = rows, .cols = cols, .squares = squares};
    atomic_init(&s.bad, rows);
    cl_pool_run(pool, (rows + ROWS - 1) / ROWS, square_rows, &s);
    const int64_t bad = atomic_load(&s.bad);
    if (bad < rows)
        return cl_fail(error, COULIS_NUMERIC, "row %lld (counted from 0) has a value that is NaN or infinite",
                       (long long)(first_row + bad));
    return COULIS_OK;
}

void cl_unit_rows(const cl_vectors *vectors, int64_t first, int64_t count, float *out) {
    const int64_t cols = vectors->cols;
    for (int64_t r = 0; r < count; r++) {
        const double square = vectors->squares[first + r], scale = square > 0 ? 1 / sqrt(square) : 0;
        const float *row = vectors->x + (first + r) * cols;
        for (int64_t c = 0; c < cols; c++) out[r * cols + c] = (float)((double)row[c] * scale);
    }
}

double cl_product_error(int64_t cols) {
    /* With u half a unit in the last place: each number of a unit row is rounded once, which moves the row by at most u
     * of its length 1; so the exact product of two such rows is within 2 u + u^2 of the cosine. Its float32 sum rounds
     * each product once and adds at most `cols` times: it is within n u / (1 - n u) of the exact one, n = cols + 1,
     * times the sum of the absolute products, which is at most 1 + 3 u (Higham, Accuracy and Stability of Numerical
     * Algorithms, 2nd ed., 2002, chapter 3). n = cols + 8 covers all of it, and the products too small for float32. */
    const double n = (double)cols + 8;
    return n * HALF_UNIT / (1 - n * HALF_UNIT);
}

float cl_below(double value) { return nextafterf((float)value, -INFINITY); }
