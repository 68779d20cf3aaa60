#include "pipeline/spread.h"

#define LANES 8 /* sums side by side, so that one addition need not wait for the last */

coulis_status cl_spread_begin(cl_spread *s, const coulis_pca *pca, coulis_error *error) {
    *s = (cl_spread){.cols = coulis_pca_columns(pca),
                     .components = coulis_pca_components_count(pca),
                     .mean = coulis_pca_mean(pca)};
    s->col_sums = cl_alloc_zero((size_t)s->cols, sizeof *s->col_sums);
    s->score_sums = cl_alloc_zero((size_t)s->components, sizeof *s->score_sums);
    if (s->col_sums && s->score_sums) return COULIS_OK;
    return cl_fail_memory(error, "sums", (size_t)(s->cols + s->components) * sizeof *s->col_sums);
}

void cl_spread_free(cl_spread *s) {
    cl_free(s->col_sums);
    cl_free(s->score_sums);
    *s = (cl_spread){0};
}

/* Adds the differences of one row from `mean` (NULL: from 0) to `sums`; returns the sum of their squares. */
static double add_row(const float *row, const double *mean, int64_t count, double *sums) {
    double squares[LANES] = {0}, total = 0;
    int64_t c = 0;
    for (; c + LANES <= count; c += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            double value = (double)row[c + lane] - (mean ? mean[c + lane] : 0);
            sums[c + lane] += value;
            squares[lane] += value * value;
        }
    }
    for (int lane = 0; lane < LANES; lane++) total += squares[lane];
    for (; c < count; c++) {
        double value = (double)row[c] - (mean ? mean[c] : 0);
        sums[c] += value;
        total += value * value;
    }
    return total;
}

void cl_spread_add(cl_spread *s, const float *vectors, const float *scores, int64_t rows) {
    for (int64_t i = 0; i < rows; i++) {
        s->squares += add_row(vectors + i * s->cols, s->mean, s->cols, s->col_sums);
        s->score_squares += add_row(scores + i * s->components, NULL, s->components, s->score_sums);
    }
    s->rows += rows;
}

/* The sum of squares about the rows' own mean. */
static double about_mean(double squares, const double *sums, int64_t count, int64_t rows) {
    double shift = 0;
    for (int64_t c = 0; c < count; c++) shift += sums[c] * sums[c];
    return squares - shift / (double)rows;
}

double cl_spread_share(const cl_spread *s) {
    if (s->rows < 2) return 0;
    double total = about_mean(s->squares, s->col_sums, s->cols, s->rows);
    double kept = about_mean(s->score_squares, s->score_sums, s->components, s->rows);
    /* Of equal rows only the rounding of so many additions is left. */
    if (!(total > s->squares * 1e-13) || !(kept > 0)) return 0;
    return kept < total ? kept / total : 1;
}
