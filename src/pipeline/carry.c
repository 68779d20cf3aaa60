#include "pipeline/carry.h"

int64_t cl_carry_find(const cl_carry *carry, int64_t number, coulis_item *item) {
    if (!carry->earlier || item->now) return -1;
    cl_file_state now = {.has_bytes = item->bytes >= 0,
                         .bytes = item->bytes,
                         .has_modified = item->modified != INT64_MIN,
                         .modified = item->modified};
    if (carry->state) now = carry->state(carry->context, number);
    const int64_t row = cl_earlier_unchanged(carry->earlier, item->name, &now);
    if (row < 0) return -1;
    item->bytes = now.bytes;
    item->modified = now.modified;
    return row;
}

void cl_carry_take(const cl_carry *carry, int64_t row, coulis_result *result, char sha256[CL_SHA256_TEXT]) {
    const cl_earlier_row *has = cl_earlier_row_at(carry->earlier, row);
    result->width = has->width;
    result->height = has->height;
    if (sha256) cl_earlier_sha256(carry->earlier, row, sha256);
}

int64_t cl_carry_hashed(const cl_carry *carry, const char *sha256, coulis_result *result) {
    const int64_t row = carry->earlier ? cl_earlier_with_bytes(carry->earlier, sha256) : -1;
    if (row >= 0) cl_carry_take(carry, row, result, NULL);
    return row;
}
