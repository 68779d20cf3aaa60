/* The operators: their inputs, fields, weights, and the shapes that follow. */
#include "net/graph_node.h"

#include <math.h>
#include <string.h>

#define FEATURE_MAP_MAX ((int64_t)1 << 30)

static coulis_status read_dense(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    return cl_read_whole(r, json, "units", 1, CL_CHANNELS_MAX, &node->channels);
}

static coulis_status read_norm(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    return cl_read_number(r, json, "epsilon", false, 0, 1, &node->epsilon);
}

static coulis_status read_clip(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    node->clip.low = -INFINITY;
    node->clip.high = INFINITY;
    coulis_status status = cl_read_any_number(r, json, "low", true, &node->clip.low);
    if (status == COULIS_OK) status = cl_read_any_number(r, json, "high", true, &node->clip.high);
    if (status == COULIS_OK && node->clip.low > node->clip.high) return cl_refuse(r, "'low' is more than 'high'");
    return status;
}

static coulis_status read_leaky(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    return cl_read_any_number(r, json, "slope", false, &node->slope);
}

static coulis_status read_hard(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    coulis_status status = cl_read_any_number(r, json, "alpha", false, &node->hard.alpha);
    return status == COULIS_OK ? cl_read_any_number(r, json, "beta", false, &node->hard.beta) : status;
}

static coulis_status read_arithmetic(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph,
                                     cl_node *node) {
    (void)json;
    const cl_node *input = cl_node_input(graph, node, 0), *other = cl_node_input(graph, node, 1);
    const bool spread = input->height == 1 && input->width == 1; /* the first over the area of the second */
    if (other->channels != input->channels || (!spread && !(other->height == 1 && other->width == 1) &&
                                               (other->height != input->height || other->width != input->width)))
        return cl_refuse(r, "%dx%dx%d and %dx%dx%d do not fit together", input->height, input->width, input->channels,
                         other->height, other->width, other->channels);
    if (spread) {
        node->height = other->height;
        node->width = other->width;
    }
    return COULIS_OK;
}

static coulis_status read_concat(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)json;
    const cl_node *input = cl_node_input(graph, node, 0);
    int64_t channels = 0;
    for (int32_t i = 0; i < node->input_count; i++) {
        const cl_node *other = cl_node_input(graph, node, i);
        if (other->height != input->height || other->width != input->width)
            return cl_refuse(r, "maps of %dx%d and %dx%d pixels do not fit together", input->height, input->width,
                             other->height, other->width);
        channels += other->channels;
    }
    if (channels > CL_VECTOR_MAX) return cl_refuse(r, "more than %d channels", CL_VECTOR_MAX);
    node->channels = (int32_t)channels;
    return COULIS_OK;
}

static coulis_status read_slice(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    coulis_status status = cl_read_whole(r, json, "first", 0, node->channels - 1, &node->first);
    if (status != COULIS_OK) return status;
    return cl_read_whole(r, json, "channels", 1, node->channels - node->first, &node->channels);
}

static coulis_status read_shuffle(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    coulis_status status = cl_read_whole(r, json, "groups", 1, CL_CHANNELS_MAX, &node->groups);
    if (status == COULIS_OK && node->channels % node->groups != 0)
        return cl_refuse(r, "%d groups do not divide %d channels", node->groups, node->channels);
    return status;
}

static coulis_status read_flatten(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)json;
    (void)graph;
    int64_t count = (int64_t)node->height * node->width * node->channels;
    if (count > CL_VECTOR_MAX) return cl_refuse(r, "a vector of more than %d numbers", CL_VECTOR_MAX);
    node->channels = (int32_t)count;
    node->height = node->width = 1;
    return COULIS_OK;
}

static coulis_status read_global(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)r;
    (void)json;
    (void)graph;
    node->height = node->width = 1;
    return COULIS_OK;
}

static coulis_status read_gelu(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    static const char *const forms[] = {[CL_FORM_ERF] = "erf", [CL_FORM_TANH] = "tanh", [CL_FORM_QUICK] = "quick"};
    const char *form = cl_json_text(json, "form");
    for (int i = 0; form && i < 3; i++) {
        if (strcmp(form, forms[i]) != 0) continue;
        node->form = (cl_gelu)i;
        return COULIS_OK;
    }
    return cl_refuse(r, "'form' must be \"erf\", \"tanh\" or \"quick\"");
}

static coulis_status read_power(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    return cl_read_number(r, json, "exponent", false, 1e-3, 1e3, &node->exponent);
}

static coulis_status read_local(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    coulis_status status = cl_read_whole(r, json, "size", 1, CL_KERNEL_MAX, &node->local.size);
    if (status == COULIS_OK) status = cl_read_number(r, json, "alpha", false, 0, 1e6, &node->local.alpha);
    if (status == COULIS_OK) status = cl_read_number(r, json, "beta", false, 1e-3, 1e3, &node->local.beta);
    return status == COULIS_OK ? cl_read_number(r, json, "bias", false, 1e-6, 1e6, &node->local.bias) : status;
}

/* The shape of a weight. */
typedef enum shape { PER_CHANNEL, OF_CONV, OF_DENSE, OF_PREFIX, OF_POSITION, OF_TABLE, OF_PLACES } shape;

static const struct {
    const char *name;
    int32_t inputs_min, inputs_max;
    cl_node_reader *read; /* NULL where there are no fields, and the output has the shape of the input */
    struct {
        const char *key; /* under which the node names the tensor */
        shape shape;
        bool optional;
    } weights[CL_WEIGHTS_MAX];
} operators[] = {
    [CL_OP_IMAGE] = {"image", 0, 0, NULL, {{0}}},
    [CL_OP_CONV] = {"conv", 1, 1, cl_read_conv, {{"weight", OF_CONV, false}, {"bias", PER_CHANNEL, true}}},
    [CL_OP_DENSE] = {"dense", 1, 1, read_dense, {{"weight", OF_DENSE, false}, {"bias", PER_CHANNEL, true}}},
    [CL_OP_BATCH_NORM] = {"batch_norm",
                          1,
                          1,
                          read_norm,
                          {{"scale", PER_CHANNEL, false},
                           {"shift", PER_CHANNEL, false},
                           {"mean", PER_CHANNEL, false},
                           {"variance", PER_CHANNEL, false}}},
    [CL_OP_RELU] = {"relu", 1, 1, NULL, {{0}}},
    [CL_OP_RELU6] = {"relu6", 1, 1, NULL, {{0}}},
    [CL_OP_CLIP] = {"clip", 1, 1, read_clip, {{0}}},
    [CL_OP_LEAKY_RELU] = {"leaky_relu", 1, 1, read_leaky, {{0}}},
    [CL_OP_SIGMOID] = {"sigmoid", 1, 1, NULL, {{0}}},
    [CL_OP_HARD_SIGMOID] = {"hard_sigmoid", 1, 1, read_hard, {{0}}},
    [CL_OP_SWISH] = {"swish", 1, 1, NULL, {{0}}},
    [CL_OP_HARD_SWISH] = {"hard_swish", 1, 1, NULL, {{0}}},
    [CL_OP_SOFTMAX] = {"softmax", 1, 1, NULL, {{0}}},
    [CL_OP_ADD] = {"add", 2, 2, read_arithmetic, {{0}}},
    [CL_OP_SUBTRACT] = {"subtract", 2, 2, read_arithmetic, {{0}}},
    [CL_OP_MULTIPLY] = {"multiply", 2, 2, read_arithmetic, {{0}}},
    [CL_OP_DIVIDE] = {"divide", 2, 2, read_arithmetic, {{0}}},
    [CL_OP_CONCAT] = {"concat", 2, CL_INPUTS_MAX, read_concat, {{0}}},
    [CL_OP_SLICE] = {"slice", 1, 1, read_slice, {{0}}},
    [CL_OP_SHUFFLE] = {"shuffle", 1, 1, read_shuffle, {{0}}},
    [CL_OP_PAD] = {"pad", 1, 1, cl_read_pad, {{0}}},
    [CL_OP_FLATTEN] = {"flatten", 1, 1, read_flatten, {{0}}},
    [CL_OP_MAX_POOL] = {"max_pool", 1, 1, cl_read_pool, {{0}}},
    [CL_OP_AVERAGE_POOL] = {"average_pool", 1, 1, cl_read_pool, {{0}}},
    [CL_OP_GLOBAL_MAX_POOL] = {"global_max_pool", 1, 1, read_global, {{0}}},
    [CL_OP_GLOBAL_AVERAGE_POOL] = {"global_average_pool", 1, 1, read_global, {{0}}},
    [CL_OP_SCALE] = {"scale", 1, 1, NULL, {{"scale", PER_CHANNEL, false}, {"shift", PER_CHANNEL, true}}},
    [CL_OP_PRELU] = {"prelu", 1, 1, NULL, {{"slope", PER_CHANNEL, false}}},
    [CL_OP_TANH] = {"tanh", 1, 1, NULL, {{0}}},
    [CL_OP_GELU] = {"gelu", 1, 1, read_gelu, {{0}}},
    [CL_OP_POWER] = {"power", 1, 1, read_power, {{0}}},
    [CL_OP_LAYER_NORM] = {"layer_norm", 1, 1, read_norm, {{"scale", PER_CHANNEL, true}, {"shift", PER_CHANNEL, true}}},
    [CL_OP_L2_NORM] = {"l2_norm", 1, 1, read_norm, {{0}}},
    [CL_OP_GRN] = {"grn", 1, 1, read_norm, {{"scale", PER_CHANNEL, false}, {"shift", PER_CHANNEL, false}}},
    [CL_OP_LOCAL_RESPONSE_NORM] = {"local_response_norm", 1, 1, read_local, {{0}}},
    [CL_OP_TOKENS] = {"tokens", 1, 1, cl_read_tokens, {{"prefix", OF_PREFIX, true}, {"position", OF_POSITION, true}}},
    [CL_OP_TAKE] = {"take", 1, 1, cl_read_take, {{0}}},
    [CL_OP_ATTENTION] = {"attention", 1, 2, cl_read_attention, {{0}}},
    [CL_OP_ATTENTION_POOL] = {"attention_pool", 1, 1, cl_read_attention_pool, {{"query", PER_CHANNEL, false}}},
    [CL_OP_EMBED] = {"embed", 1, 1, cl_read_embed, {{"weight", OF_TABLE, false}, {"position", OF_PLACES, true}}},
};
#define OPERATORS ((int)(sizeof operators / sizeof operators[0]))

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
            return cl_refuse(r, "input '%.60s' is no earlier node", cJSON_IsString(item) ? item->valuestring : "?");
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
    while (which < OPERATORS && strcmp(operators[which].name, op) != 0) which++;
    if (which == OPERATORS) return cl_refuse(r, "operator '%.60s' is not supported", op);
    node->op = (cl_op)which;
    coulis_status status = read_inputs(r, json, graph, node);
    if (status != COULIS_OK) return status;
    const cl_node *input = cl_node_input(graph, node, 0);
    node->height = input->height;
    node->width = input->width;
    node->channels = input->channels;
    if (operators[which].read) status = operators[which].read(r, json, graph, node);
    for (int i = 0; status == COULIS_OK && i < CL_WEIGHTS_MAX && operators[which].weights[i].key; i++) {
        const char *key = operators[which].weights[i].key, *name = cl_json_text(json, key);
        if (name) node->weights[i] = weight_of(graph, node, name, operators[which].weights[i].shape);
        else if (!operators[which].weights[i].optional) return cl_refuse(r, "'%s' must name a tensor", key);
    }
    if (status == COULIS_OK && (int64_t)node->height * node->width * node->channels > FEATURE_MAP_MAX)
        status = cl_refuse(r, "an output of %dx%dx%d is too large", node->height, node->width, node->channels);
    return status;
}
