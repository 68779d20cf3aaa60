/* Rows that belong together, by union of pairs. */
#pragma once

#include "base/base.h"

/* A forest over rows 0 .. n-1: parent[i] of a root is i. Roots are the lowest of their rows, so the result does not
 * depend on the order of the pairs. */
static inline int64_t cl_root(int64_t *parent, int64_t row) {
    while (parent[row] != row) row = parent[row] = parent[parent[row]]; /* halves the path */
    return row;
}

static inline void cl_join(int64_t *parent, int64_t a, int64_t b) {
    a = cl_root(parent, a);
    b = cl_root(parent, b);
    if (a < b) parent[b] = a;
    else parent[a] = b;
}
