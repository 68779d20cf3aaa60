#include "net/graph.h"

#include <cjson/cJSON.h>

void cl_graph_free(cl_graph *graph) {
    if (!graph) return;
    cJSON_Delete(graph->json);
    cl_free(graph->nodes);
    cl_free(graph->inputs);
    cl_free(graph);
}

int32_t cl_graph_features(const cl_graph *graph, int32_t features) {
    if (features == COULIS_FEATURES_DEFAULT) features = graph->default_features;
    return features >= 0 && features < COULIS_FEATURES_DEFAULT ? graph->features[features] : -1;
}

int64_t cl_weight_count(const cl_weight *weight) {
    int64_t count = weight->name ? 1 : 0; /* at most 2^16 out * 2^24 in * 64 * 64 = 2^52 */
    for (int i = 0; i < weight->rank; i++) count *= weight->shape[i];
    return count;
}

int64_t cl_graph_multiply_adds(const cl_graph *graph, int32_t output) {
    double total = 0; /* a network that passes every check above may still claim more than 2^63 */
    for (int32_t i = 1; i <= output; i++) {
        const cl_node *node = &graph->nodes[i];
        if (node->op == CL_OP_CONV || node->op == CL_OP_DENSE)
            total += (double)cl_weight_count(&node->weights[CL_WEIGHT]) * node->height * node->width;
        if (node->op != CL_OP_ATTENTION && node->op != CL_OP_ATTENTION_POOL) continue;
        const cl_node *keys = &graph->nodes[node->inputs[node->input_count - 1]];
        total += 2.0 * node->channels * node->height * node->width * keys->height * keys->width;
    }
    return total < 9e18 ? (int64_t)total : INT64_MAX;
}
