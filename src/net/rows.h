/* Working through steps of a plan row by row. */
#ifndef CL_NET_ROWS_H
#define CL_NET_ROWS_H

#include "net/steps.h"

/* Decides which steps of a plan are streamed, and how many rows of each map have to be kept; last_use of the values
 * and `split` are set. */
void cl_rows_plan(cl_plan *plan);

/* Runs the streamed steps first .. end-1 for one picture. */
void cl_rows_run(const cl_run *run, int32_t first, int32_t end);

#endif
