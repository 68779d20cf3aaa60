/* A network with its weights, as read from a file. */
#pragma once

#include "net/graph.h"

/* The graph of a model. Lives as long as the model. */
const cl_graph *cl_model_graph(const coulis_model *model);

/* Weight `which` of `node` (of the shape that the node says), or NULL when it has none. */
const float *cl_model_weight(const coulis_model *model, const cl_node *node, int which);

/* SHA-256 of the model file in hexadecimal, "" with random weights. */
const char *cl_model_sha256(const coulis_model *model);
