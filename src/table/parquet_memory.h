/* Memory of carquet, which goes on after some allocations that it could not have: a page then lacks levels, or a column
 * its statistics. So it gets an allocator that remembers for each thread whether one failed. The checksum of its pages
 * comes from here, too. */
#pragma once

#include "base/base.h"

/* Forgets earlier failures of this thread. Comes before each call of carquet whose result is used. */
void cl_parquet_memory_begin(void);

/* Whether an allocation of this thread failed since then. */
bool cl_parquet_memory_failed(void);
