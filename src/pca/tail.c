#include "pca/tail.h"

#include <stdlib.h>

int64_t cl_tail_begin(const double *values, int64_t count) {
    int64_t begin = 0;
    while (begin < count && values[begin] > CL_TAIL * values[0]) begin++;
    return begin;
}

typedef struct place {
    double value;
    int64_t from;
} place;

static int compare(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return (x->from > y->from) - (x->from < y->from);
}

coulis_status cl_tail_settle(coulis_pca *pca, int64_t begin, const double *squares, coulis_error *error) {
    int64_t count = pca->count - begin, cols = pca->cols;
    size_t bytes = (size_t)cols * sizeof(float);
    float *rows = pca->components + begin * cols, *kept = cl_alloc(bytes, 1);
    place *places = cl_alloc((size_t)count, sizeof *places);
    coulis_status status = COULIS_OK;
    if (!kept || !places) status = cl_fail_memory(error, "the components", bytes + (size_t)count * sizeof *places);
    for (int64_t i = 0; i < count && !status; i++) {
        double value = pca->variance[begin + i];
        bool found = value > 0 && squares[i] > value / 2 && squares[i] > CL_ZERO * pca->variance[0];
        places[i] = (place){found ? squares[i] : 0, i};
    }
    if (!status && count) qsort(places, (size_t)count, sizeof *places, compare);
    for (int64_t i = 0; i < count && !status; i++) {
        double limit = begin + i > 0 ? pca->variance[begin + i - 1] : places[i].value;
        pca->variance[begin + i] = places[i].value < limit ? places[i].value : limit;
        if (places[i].from == i) continue;
        /* Rows change places round in a ring, one of them kept aside. */
        memcpy(kept, rows + i * cols, bytes);
        int64_t to = i;
        while (places[to].from != i) {
            int64_t from = places[to].from;
            memcpy(rows + to * cols, rows + from * cols, bytes);
            places[to].from = to;
            to = from;
        }
        memcpy(rows + to * cols, kept, bytes);
        places[to].from = to;
    }
    cl_free(kept);
    cl_free(places);
    return status;
}
