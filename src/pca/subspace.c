#include "pca/subspace.h"

#include <math.h>

#include "pca/basis.h"

/* Rows that are made orthogonal together: products with the set are shared out over threads, those within are not. */
#define GROUP 32
/* A row is given up when less than this share of the longest one is left of it: the products of floats are not
 * surer. */
#define NOTHING 3.814697265625e-6 /* 2^-18 */
/* And when the second round, which should find nothing to take away, leaves less than this of its length. */
#define UNSURE 0.5

void cl_subspace_products(const cl_subspace *space, int64_t first, int64_t n, int64_t count, const float *rows,
                          double *out) {
    cl_row_products(space->pool, space->cols, rows, count, space->rows + first * space->cols, n, out);
}

coulis_status cl_subspace_combine(const cl_subspace *space, int64_t n, int64_t count, const float *weights, float *rows,
                                  coulis_error *error) {
    return cl_row_combine(space->pool, space->cols, space->rows, n, weights, count, CL_COMBINE_SET, rows, error);
}

/* Makes the rows of a group orthonormal among themselves, dropping those of a length of at most `least`. Returns their
 * number. */
static int64_t settle_group(float *group, int64_t count, int64_t cols, double least) {
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        float *row = group + kept * cols;
        if (i != kept) memcpy(row, group + i * cols, (size_t)cols * sizeof *row);
        for (int64_t j = 0; j < kept; j++) {
            const float *other = group + j * cols;
            double share = cl_row_product(row, other, cols);
            for (int64_t c = 0; c < cols; c++) row[c] = (float)((double)row[c] - share * (double)other[c]);
        }
        double length = sqrt(cl_row_product(row, row, cols));
        if (!(length > least)) continue;
        for (int64_t c = 0; c < cols; c++) row[c] = (float)((double)row[c] / length);
        kept++;
    }
    return kept;
}

static coulis_status take_up_group(cl_subspace *space, int64_t count, double *wide, float *narrow,
                                   coulis_error *error) {
    float *group = space->rows + space->count * space->cols;
    coulis_status status = COULIS_OK;
    for (int round = 0; round < 2 && count > 0 && !status; round++) {
        if (space->count > 0) {
            cl_subspace_products(space, 0, space->count, count, group, wide);
            for (int64_t i = 0; i < count * space->count; i++) narrow[i] = (float)wide[i];
            status = cl_row_combine(space->pool, space->cols, space->rows, space->count, narrow, count,
                                    CL_COMBINE_SUBTRACT, group, error);
        }
        if (!status) count = settle_group(group, count, space->cols, round ? UNSURE : NOTHING * space->largest);
    }
    if (!status) space->count += count;
    return status;
}

coulis_status cl_subspace_extend(cl_subspace *space, int64_t count, const float *rows, coulis_error *error) {
    int64_t cols = space->cols, room = space->count + count;
    size_t bytes;
    float *grown = cl_mul_size((size_t)cols, sizeof *grown, &bytes) ? cl_grow(space->rows, (size_t)room, bytes) : NULL;
    if (!grown) return cl_fail_memory(error, "vectors", (size_t)room * (size_t)cols * sizeof *grown);
    space->rows = grown;
    double *wide = cl_alloc((size_t)room, GROUP * sizeof *wide);
    float *narrow = cl_alloc((size_t)room, GROUP * sizeof *narrow);
    coulis_status status = COULIS_OK;
    if (!wide || !narrow) status = cl_fail_memory(error, "vectors", (size_t)room * GROUP * 12);
    for (int64_t i = 0; i < count; i++)
        space->largest = fmax(space->largest, sqrt(cl_row_product(rows + i * cols, rows + i * cols, cols)));
    for (int64_t i = 0; i < count && !status; i += GROUP) {
        int64_t taken = count - i < GROUP ? count - i : GROUP;
        memcpy(space->rows + space->count * cols, rows + i * cols, (size_t)(taken * cols) * sizeof *rows);
        status = take_up_group(space, taken, wide, narrow, error);
    }
    cl_free(wide);
    cl_free(narrow);
    return status;
}

void cl_subspace_free(cl_subspace *space) { cl_free(space->rows); }
