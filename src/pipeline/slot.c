#include "pipeline/slot.h"

#include "source/item.h"

bool cl_slot_make(cl_slot *slot, size_t rows, size_t vector_bytes) {
    slot->items = cl_alloc_zero(rows, sizeof *slot->items);
    slot->results = cl_alloc_zero(rows, sizeof *slot->results);
    slot->sha256 = cl_alloc(rows, sizeof *slot->sha256);
    slot->vectors = cl_alloc(rows, vector_bytes);
    slot->carried = cl_alloc(rows, sizeof *slot->carried);
    slot->finished = cl_alloc_zero(rows, sizeof *slot->finished);
    return slot->items && slot->results && slot->sha256 && slot->vectors && slot->carried && slot->finished;
}

int64_t cl_slot_finished(const cl_slot *slot) {
    int64_t rows = 0;
    while (rows < slot->rows && slot->finished[rows]) rows++;
    return rows;
}

void cl_slot_free(cl_slot *slot) {
    for (int64_t row = 0; row < slot->rows; row++) cl_item_free_texts(&slot->items[row]);
    cl_free(slot->items);
    cl_free(slot->results);
    cl_free(slot->sha256);
    cl_free(slot->vectors);
    cl_free(slot->carried);
    cl_free(slot->finished);
}
