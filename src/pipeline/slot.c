#include "pipeline/slot.h"

#include "base/memory.h"
#include "source/item.h"

bool cl_slot_make(cl_slot *slot, size_t rows, size_t vector_bytes) {
    slot->items = cl_alloc_zero(rows, sizeof *slot->items);
    slot->results = cl_alloc_zero(rows, sizeof *slot->results);
    slot->sha256 = cl_alloc(rows, sizeof *slot->sha256);
    slot->vectors = cl_alloc(rows, vector_bytes);
    slot->carried = cl_alloc(rows, sizeof *slot->carried);
    return slot->items && slot->results && slot->sha256 && slot->vectors && slot->carried;
}

void cl_slot_free(cl_slot *slot) {
    for (int64_t row = 0; row < slot->rows; row++) cl_item_free_texts(&slot->items[row]);
    cl_free(slot->items);
    cl_free(slot->results);
    cl_free(slot->sha256);
    cl_free(slot->vectors);
    cl_free(slot->carried);
}
