/* Reading a network's nodes from JSON: what graph_parse.c and the other graph_*.c share. */
#pragma once

#include <cjson/cJSON.h>

#include "net/graph.h"

/* Far above any published network; they bound memory and keep products inside 64 bits. */
#define CL_CHANNELS_MAX 65536
#define CL_VECTOR_MAX (1 << 24) /* channels of what is flattened or put together */
#define CL_INPUTS_MAX 64        /* of one node */

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

/* The whole number under `key`, from low to high. */
coulis_status cl_read_whole(const cl_graph_reader *r, const cJSON *json, const char *key, int32_t low, int32_t high,
                            int32_t *out);

/* `count` whole numbers under `key`; missing: `otherwise` for each. */
coulis_status cl_read_wholes(const cl_graph_reader *r, const cJSON *object, const char *key, int count, double low,
                             double high, int32_t otherwise, int32_t *out);

/* The number under `key`; where it may be missing `out` keeps what it has. */
coulis_status cl_read_number(const cl_graph_reader *r, const cJSON *json, const char *key, bool may_be_missing,
                             double low, double high, double *out);

/* The same for any number well inside float32. */
coulis_status cl_read_any_number(const cl_graph_reader *r, const cJSON *json, const char *key, bool may_be_missing,
                                 double *out);

/* The fields of one operator. `node` has its inputs; its shape is that of the first, and becomes that of the output. */
typedef coulis_status cl_node_reader(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node);

/* cl_read_... of each row of CL_OPERATORS, in the file of its step, in graph_window.c or in graph_tokens.c. */
#define CL_DECLARE_READER(op, name, least, most, fields, ...) cl_node_reader cl_read_##fields;
CL_OPERATORS(CL_DECLARE_READER)

/* Number of the node of that name among those read so far; -1 for none. */
int32_t cl_graph_find(const cl_graph *graph, const char *name);

/* Fills `node`, whose name and room for inputs are set, from its JSON, and works out its shape. */
cl_node_reader cl_graph_read_node;

static inline const cl_node *cl_node_input(const cl_graph *graph, const cl_node *node, int32_t k) {
    return &graph->nodes[node->inputs[k]];
}
