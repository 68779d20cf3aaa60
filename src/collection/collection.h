/* What a job wrote into a folder, read again: the rows, and their vectors. */
#pragma once

#include "base/threads.h"
#include "index/vectors.h"
#include "remote/stand_in.h"
#include "table/table.h"

/* One row of the table. Texts live as long as the collection. */
typedef struct cl_item {
    const char *path, *label;
    const char *error;  /* NULL when ok */
    const char *sha256; /* of the file; NULL when unknown */
    int32_t status;     /* a coulis_status */
    int32_t width, height;
    int64_t bytes;  /* of the file, 0 when unknown */
    int64_t vector; /* number of its vector, -1 for none */
} cl_item;

typedef struct cl_arena cl_arena;

typedef struct cl_collection {
    const char *folder; /* as the caller named it */
    const char *place;  /* where it is to be read: itself, or the copy of one in S3 */
    cl_stand_in in;     /* for it */
    cl_table *table;
    cl_item *items;
    int64_t rows;
    int64_t *row_of;    /* vectors: the row of each */
    cl_vectors vectors; /* x and squares are NULL until cl_collection_load */
    float *x;
    double *squares;
    cl_arena *texts;
} cl_collection;

/* Opens DIR/COLUMN, or DIR itself where that holds the parts, and reads everything but the vectors. COLUMN is
 * "features", or "pca" for DIR/reduced. COULIS_INVALID_ARGUMENT when no row has a vector. */
coulis_status cl_collection_open(const char *folder, const char *column, cl_collection *collection,
                                 coulis_error *error);

/* Reads all vectors into memory, and their squares. */
coulis_status cl_collection_load(cl_collection *collection, cl_pool *pool, coulis_error *error);

/* Reads `count` vectors from number `first` on to `out`. */
coulis_status cl_collection_read(const cl_collection *collection, int64_t first, int64_t count, float *out,
                                 coulis_error *error);

/* Path and label of the row of each vector, both released with cl_free, also on failure. `output` is what they are for,
 * in messages. */
coulis_status cl_collection_names(const cl_collection *collection, const char *output, const char ***path,
                                  const char ***label, coulis_error *error);

/* Releases what the collection holds; one of all zeros is allowed. */
void cl_collection_close(cl_collection *collection);
