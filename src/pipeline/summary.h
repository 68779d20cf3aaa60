/* run.json: what was done, in how much time, with what result. */
#ifndef CL_PIPELINE_SUMMARY_H
#define CL_PIPELINE_SUMMARY_H

#include "coulis.h"

typedef struct cl_summary {
    const char *output;
    const char *recipe; /* JSON */
    const coulis_model_info *model; /* NULL where no network ran */
    int64_t counts[COULIS_MISSING + 1];
    int64_t resumed;    /* pictures whose vectors an earlier run had made */
    int64_t length;     /* numbers in a vector */
    const coulis_pca *pca; /* NULL without one */
    double seconds[COULIS_STAGE_TRANSFORM + 1];
    int32_t stages;     /* bit s set: stage s took part */
    int32_t threads;
} cl_summary;

/* The JSON text, with a newline at its end; NULL when memory is short; released with cl_free. */
char *cl_summary_json(const cl_summary *summary);

#endif
