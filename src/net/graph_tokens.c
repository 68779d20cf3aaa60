/* Nodes that make tokens, take some, and let them attend to each other. */
#include <math.h>

#include "net/graph_node.h"

/* Class and register tokens; networks in use have up to 5. */
#define PREFIX_MAX 1024

coulis_status cl_read_tokens(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    node->before = 0;
    if (cJSON_HasObjectItem(json, "before")) {
        coulis_status status = cl_read_whole(r, json, "before", 0, PREFIX_MAX, &node->before);
        if (status) return status;
    }
    if ((node->before > 0) != (cl_json_text(json, "prefix") != NULL))
        return cl_refuse(r, "'before' and 'prefix' go together");
    node->height = node->before + node->height * node->width; /* at most 2^10 + 2^30 */
    node->width = 1;
    return COULIS_OK;
}

coulis_status cl_read_take(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    const int32_t rows = node->height * node->width;
    int32_t count;
    coulis_status status = cl_read_whole(r, json, "first", 0, rows - 1, &node->first);
    if (!status) status = cl_read_whole(r, json, "count", 1, rows - node->first, &count);
    if (status) return status;
    node->height = count;
    node->width = 1;
    return COULIS_OK;
}

coulis_status cl_read_embed(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    if (graph->vocabulary == 0) return cl_refuse(r, "'embed' is for networks whose 'input' is tokens");
    if (node->inputs[0] != 0) return cl_refuse(r, "'embed' reads \"text\" alone");
    return cl_read_whole(r, json, "units", 1, CL_CHANNELS_MAX, &node->channels);
}

/* The fields of both kinds; node->channels are those of the result. */
static coulis_status read_heads(const cl_graph_reader *r, const cJSON *json, cl_node *node) {
    int32_t heads;
    coulis_status status = cl_read_whole(r, json, "heads", 1, CL_CHANNELS_MAX, &heads);
    if (status) return status;
    if (node->channels % heads != 0) return cl_refuse(r, "%d heads do not divide %d channels", heads, node->channels);
    const cJSON *causal = cJSON_GetObjectItemCaseSensitive(json, "causal");
    if (causal && !cJSON_IsBool(causal)) return cl_refuse(r, "'causal' must be true or false");
    node->attention.heads = heads;
    node->attention.causal = cJSON_IsTrue(causal);
    node->attention.scale = 1 / sqrt((double)node->channels / heads);
    return cl_read_number(r, json, "scale", true, 1e-9, 1e9, &node->attention.scale);
}

coulis_status cl_read_attention(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    if (node->input_count == 1) {
        if (node->channels % 3 != 0) return cl_refuse(r, "%d channels are not q, k and v", node->channels);
        node->channels /= 3;
    } else {
        const cl_node *other = cl_node_input(graph, node, 1);
        if (other->channels != 2 * (int64_t)node->channels)
            return cl_refuse(r, "%d channels of k and v do not fit %d of q", other->channels, node->channels);
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "causal")))
            return cl_refuse(r, "'causal' attention takes q, k and v of the same tokens");
    }
    return read_heads(r, json, node);
}

coulis_status cl_read_attention_pool(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph,
                                     cl_node *node) {
    (void)graph;
    if (node->channels % 2 != 0) return cl_refuse(r, "%d channels are not k and v", node->channels);
    if (cJSON_HasObjectItem(json, "causal")) return cl_refuse(r, "a single query is not 'causal'");
    node->channels /= 2;
    node->height = node->width = 1;
    return read_heads(r, json, node);
}
