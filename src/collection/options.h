/* What the jobs of this folder share. */
#pragma once

#include "base/json.h"
#include "collection/collection.h"
#include "remote/remote.h"

/* Reads and checks the caller's options, NULL for the defaults. */
coulis_status cl_collection_options(const coulis_collection_options *given, coulis_collection_options *own,
                                    coulis_error *error);

/* The vector of the image `path`, a file or an address, by the network and preprocessing that the table's recipe
 * names. */
coulis_status cl_featurize_query(const cl_collection *collection, const char *path,
                                 const coulis_collection_options *options, float *vector, coulis_error *error);

/* Vectors of two tables can be compared when the same network, on images prepared the same way, made them.
 * COULIS_CONFLICT names what differs. */
coulis_status cl_recipes_alike(const cl_collection *a, const cl_collection *b, coulis_error *error);
