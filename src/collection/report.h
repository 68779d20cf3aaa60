/* What a report shows, gathered from a folder. */
#pragma once

#include <cjson/cJSON.h>

#include "collection/collection.h"

/* Images of a report at most; of more, so many are taken at even distances. */
#define CL_REPORT_IMAGES_MAX 20000
#define CL_REPORT_NEIGHBOURS 8
#define CL_REPORT_CLUSTERS 12

typedef struct cl_report {
    cl_collection collection;
    const char **paths; /* of the images shown */
    int64_t count;
    int64_t *rows;        /* their rows in the collection */
    float *x, *y;         /* on the map */
    const char *map_name; /* what placed them; NULL: the first two principal components */
    float *vectors;       /* count x cols; NULL where they are the collection's own */
    double *squares;
    cl_vectors view;     /* the vectors shown */
    int32_t *neighbours; /* count x CL_REPORT_NEIGHBOURS; -1 for none */
    float *similarity;
    int32_t *cluster, *label;
    int64_t clusters, label_count;
    const char **labels;
    int64_t *group; /* the lowest image of each one's group of duplicates */
    double threshold;
    coulis_pca *pca; /* NULL for none */
} cl_report;

coulis_status cl_report_make(const char *folder, const coulis_collection_options *options, cl_pool *pool,
                             cl_report *report, coulis_error *error);
void cl_report_free(cl_report *report);

/* All of it as JSON, for thumbnails of `side` pixels (0 for none). NULL when memory is short. */
char *cl_report_json(const cl_report *report, int32_t side);

/* The size of a file, 0 when it cannot be told. */
int64_t cl_file_bytes(const char *path);
