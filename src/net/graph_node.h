/* Reading a network's nodes from JSON: what graph.c and graph_node.c share. */
#ifndef CL_NET_GRAPH_NODE_H
#define CL_NET_GRAPH_NODE_H

#include <cjson/cJSON.h>

#include "net/graph.h"

/* The file and node being read, for messages. */
typedef struct cl_graph_reader {
    const char *file;
    const char *node; /* NULL outside of nodes */
    coulis_error *error;
} cl_graph_reader;

/* COULIS_BAD_MODEL with a sentence that names file and node. */
__attribute__((format(printf, 2, 3))) coulis_status cl_refuse(const cl_graph_reader *r, const char *format, ...);

/* The text under `key`; NULL when there is none. */
const char *cl_json_text(const cJSON *object, const char *key);

/* A whole number from low to high, or false. */
bool cl_json_whole(const cJSON *item, double low, double high, int32_t *out);

/* Number of the node of that name among those read so far; -1 for none. */
int32_t cl_graph_find(const cl_graph *graph, const char *name);

/* Fills `node`, whose name and room for inputs are set, from its JSON, and works out its shape. */
coulis_status cl_graph_read_node(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node);

#endif
