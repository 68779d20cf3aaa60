/* The passes of cl_plan_create, in their order. */
#pragma once

#include "net/step.h"

/* A step for each node of the graph that `output` needs, in the order of the nodes. */
coulis_status cl_plan_lower(cl_plan *plan, const cl_graph *graph, int32_t output, coulis_error *error);

/* Merges normalisations, additions, clamps and activations into the steps before them. */
coulis_status cl_plan_fuse(cl_plan *plan, coulis_error *error);

/* Decides which steps are streamed, and how many lines of each map have to be kept; `last_use` of the values and
 * `split` are set. */
void cl_plan_stream(cl_plan *plan);

/* Where steps are split and streamed, and gives every value the lowest place that is free from the step that writes it
 * to the last that reads it. */
coulis_status cl_plan_lay_out(cl_plan *plan, coulis_error *error);

/* Runs the streamed steps first .. end-1 for one image. */
void cl_stream_run(const cl_run *run, int32_t first, int32_t end);
