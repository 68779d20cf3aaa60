/* A chunk of a stream in the making: its items, and what becomes of each. */
#pragma once

#include "base/sha256.h"

typedef struct cl_slot {
    int64_t part, first, rows; /* rows that have been begun */
    bool opened, closed;       /* it has a part; there will be no more rows */
    int64_t left;              /* of the rows begun, how many are not finished */
    coulis_item *items;        /* with texts of their own */
    coulis_result *results;
    char (*sha256)[CL_SHA256_TEXT];
    float *vectors;
    int64_t *carried; /* rows of an earlier result, -1: none */
    bool *finished;
} cl_slot;

/* Makes room for `rows` items with vectors of so many bytes; false when memory is short. */
bool cl_slot_make(cl_slot *slot, size_t rows, size_t vector_bytes);

/* How many rows are finished before the first that is not. */
int64_t cl_slot_finished(const cl_slot *slot);

/* Releases what a slot has, also one that was not made. */
void cl_slot_free(cl_slot *slot);
