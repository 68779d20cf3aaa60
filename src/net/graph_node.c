/* The operators: their inputs, fields, weights, and the shapes that follow. */
#include "net/graph_node.h"

#include <math.h>

#define FEATURE_MAP_MAX ((int64_t)1 << 30)

/* The shape of a weight. */
typedef enum shape { PER_CHANNEL, OF_CONV, OF_DENSE, OF_PREFIX, OF_POSITION, OF_TABLE, OF_PLACES } shape;

/* Of operators without fields. */
coulis_status cl_read_nothing(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)r;
    (void)json;
    (void)graph;
    (void)node;
    return COULIS_OK;
}

/* Of normalisations. */
coulis_status cl_read_norm(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    return cl_read_number(r, json, "epsilon", false, 0, 1, &node->epsilon);
}

enum { MUST, MAY }; /* name a tensor */

#define ROW(op, name, least, most, fields, step, ...) {name, least, most, cl_read_##fields, {__VA_ARGS__}},
static const struct {
    const char *name;
    int32_t inputs_min, inputs_max;
    cl_node_reader *read;
    struct {
        const char *key; /* under which the node names the tensor */
        shape shape;
        bool optional;
    } weights[CL_WEIGHTS_MAX];
} operators[CL_OPERATOR_COUNT] = {CL_OPERATORS(ROW)};

int32_t cl_graph_find(const cl_graph *graph, const char *name) {
    for (int32_t i = graph->node_count - 1; i >= 0; i--) /* inputs are mostly recent */
        if (strcmp(graph->nodes[i].name, name) == 0) return i;
    return -1;
}

static coulis_status read_inputs(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    const cJSON *inputs = cJSON_GetObjectItemCaseSensitive(json, "inputs");
    const int32_t low = operators[node->op].inputs_min, high = operators[node->op].inputs_max;
    const int count = cJSON_IsArray(inputs) ? cJSON_GetArraySize(inputs) : 0;
    if (count < low || count > high) {
        if (low == high) return cl_refuse(r, "'%s' takes %d input(s)", operators[node->op].name, low);
        return cl_refuse(r, "'%s' takes %d to %d inputs", operators[node->op].name, low, high);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, inputs) {
        int32_t found = cJSON_IsString(item) ? cl_graph_find(graph, item->valuestring) : -1;
        if (found < 0)
            return cl_refuse(r, "input '%.60s' is not an earlier node", cJSON_IsString(item) ? item->valuestring : "?");
        if (found == 0 && graph->vocabulary > 0 && node->op != CL_OP_EMBED)
            return cl_refuse(r, "of the operators only 'embed' reads tokens");
        node->inputs[node->input_count++] = found;
    }
    return COULIS_OK;
}

static cl_weight weight_of(const cl_graph *graph, const cl_node *node, const char *name, shape kind) {
    const int64_t inputs = cl_node_input(graph, node, 0)->channels;
    switch (kind) {
    case OF_CONV:
        return (cl_weight){name,
                           4,
                           {node->channels, inputs / node->groups, node->window.kernel[0], node->window.kernel[1]}};
    case OF_DENSE: return (cl_weight){name, 2, {node->channels, inputs}};
    case OF_PREFIX: return (cl_weight){name, 2, {node->before, node->channels}};
    case OF_POSITION: return (cl_weight){name, 2, {node->height - node->before, node->channels}};
    case OF_TABLE: return (cl_weight){name, 2, {graph->vocabulary, node->channels}};
    case OF_PLACES: return (cl_weight){name, 2, {node->height, node->channels}};
    case PER_CHANNEL: break;
    }
    return (cl_weight){name, 1, {node->channels}};
}

coulis_status cl_graph_read_node(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    const char *op = cl_json_text(json, "op");
    if (!op) return cl_refuse(r, "no 'op'");
    int which = CL_OP_CONV;
    while (which < CL_OPERATOR_COUNT && strcmp(operators[which].name, op) != 0) which++;
    if (which == CL_OPERATOR_COUNT) return cl_refuse(r, "operator '%.60s' is not supported", op);
    node->op = (cl_op)which;
    coulis_status status = read_inputs(r, json, graph, node);
    if (status) return status;
    const cl_node *input = cl_node_input(graph, node, 0);
    node->height = input->height;
    node->width = input->width;
    node->channels = input->channels;
    status = operators[which].read(r, json, graph, node);
    for (int i = 0; !status && i < CL_WEIGHTS_MAX && operators[which].weights[i].key; i++) {
        const char *key = operators[which].weights[i].key, *name = cl_json_text(json, key);
        if (name) node->weights[i] = weight_of(graph, node, name, operators[which].weights[i].shape);
        else if (!operators[which].weights[i].optional) return cl_refuse(r, "'%s' must name a tensor", key);
    }
    if (!status && (int64_t)node->height * node->width * node->channels > FEATURE_MAP_MAX)
        status = cl_refuse(r, "an output of %dx%dx%d is too large", node->height, node->width, node->channels);
    return status;
}
