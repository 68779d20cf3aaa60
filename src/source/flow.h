/* Bytes that are read from the first to the last: a file, or what its gzip holds. */
#pragma once

#include "base/base.h"

typedef struct cl_flow cl_flow;

/* Opens what `name` stands for. What begins as gzip does is unpacked on the way, members one after the other. */
coulis_status cl_flow_open(const char *name, const coulis_source_options *options, cl_flow **flow, coulis_error *error);
void cl_flow_close(cl_flow *flow);

/* Reads `size` bytes; *got is less only at the end. COULIS_IO, or COULIS_BAD_DATA when the gzip is damaged. */
coulis_status cl_flow_read(cl_flow *flow, void *bytes, size_t size, size_t *got, coulis_error *error);

/* Reads `size` bytes into memory of its own, with a zero behind them, which grows as they come: a header may claim more
 * than there is. *got is less only at the end. *bytes is released with cl_free. */
coulis_status cl_flow_take(cl_flow *flow, size_t size, uint8_t **bytes, size_t *got, coulis_error *error);

/* Passes over `size` bytes; COULIS_BAD_DATA when there are fewer. */
coulis_status cl_flow_skip(cl_flow *flow, uint64_t size, coulis_error *error);
