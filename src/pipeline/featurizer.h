/* From images to their vectors, on one of several threads. */
#pragma once

#include "net/plan.h"

/* What coulis_featurizer_create does, but starts no threads: the caller brings `workers` of its own, each of
 * which calls with a number of its own. `options` are complete (pipeline/options.h). */
coulis_status cl_featurizer_create(const coulis_model *model, const coulis_featurizer_options *options, int32_t workers,
                                   coulis_featurizer **featurizer, coulis_error *error);

/* Settles what COULIS_RESIZE_AUTO and COULIS_RESIZE_PUBLISHED mean for this network; COULIS_INVALID_ARGUMENT when
 * its file does not say how the publisher resizes. */
coulis_status cl_settle_resize(const coulis_model *model, coulis_image_options *image, coulis_error *error);

/* COULIS_INVALID_ARGUMENT for a network of texts. */
coulis_status cl_reads_images(const cl_graph *graph, coulis_error *error);

/* An image on its way: its bytes in, its vector and result out. */
typedef struct cl_featurizer_image {
    const char *name; /* for messages; NULL for none */
    const uint8_t *bytes;
    size_t size;
    const coulis_pixels *pixels; /* instead of bytes; NULL for none */
    float *values;               /* `length` numbers; zeros when the image fails */
    coulis_result *result;       /* of this image: it never stops the batch */
} cl_featurizer_image;

/* Images that are worked on together at most. */
#define CL_FEATURIZER_IMAGES CL_PLAN_IMAGES

/* Featurizes 1 to CL_FEATURIZER_IMAGES images held in memory as worker `worker`. Which images come
 * together makes no difference to any vector. */
void cl_featurizer_some(coulis_featurizer *featurizer, int32_t worker, const cl_featurizer_image *images,
                        int32_t count);
