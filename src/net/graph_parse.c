/* Reading the description of a network. */
#include <math.h>

#include "base/json.h"
#include "net/graph_node.h"

/* Far above any published network; they bound memory and the time that names take to find. */
#define NODES_MAX 20000
#define INPUTS_MAX 65536
#define SIDE_MAX 8192
#define VOCABULARY_MAX (1 << 24)

static coulis_status numbers3(const cl_graph_reader *r, const cJSON *object, const char *key, double out[3]) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
    bool good = cJSON_IsArray(list) && cJSON_GetArraySize(list) == 3;
    for (int i = 0; good && i < 3; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, i);
        good = cJSON_IsNumber(item) && isfinite(item->valuedouble);
        if (good) out[i] = item->valuedouble;
    }
    return good ? COULIS_OK : cl_refuse(r, "'input' needs '%s', a list of three numbers", key);
}

/* A text: a line of tokens, which reach the network as pixels do, three bytes each, lowest first. */
static coulis_status read_tokens_input(const cl_graph_reader *r, const cJSON *input, cl_graph *graph) {
    coulis_status status = cl_read_whole(r, input, "tokens", 1, SIDE_MAX, &graph->height);
    if (!status) status = cl_read_whole(r, input, "vocabulary", 1, VOCABULARY_MAX, &graph->vocabulary);
    graph->width = 1;
    for (int i = 0; i < 3; i++) graph->std[i] = 1;
    return status;
}

static coulis_status read_input(const cl_graph_reader *r, const cJSON *root, cl_graph *graph) {
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(root, "input");
    if (!cJSON_IsObject(input)) return cl_refuse(r, "no 'input' in the description of the network");
    if (cJSON_HasObjectItem(input, "tokens")) return read_tokens_input(r, input, graph);
    if (!cl_json_whole(cJSON_GetObjectItemCaseSensitive(input, "width"), 1, SIDE_MAX, &graph->width) ||
        !cl_json_whole(cJSON_GetObjectItemCaseSensitive(input, "height"), 1, SIDE_MAX, &graph->height))
        return cl_refuse(r, "'input' needs a width and a height from 1 to %d", SIDE_MAX);
    const char *channels = cl_json_text(input, "channels");
    if (!channels || (strcmp(channels, "RGB") != 0 && strcmp(channels, "BGR") != 0))
        return cl_refuse(r, "'channels' of the input must be \"RGB\" or \"BGR\"");
    graph->bgr = channels[0] == 'B';
    coulis_status status = numbers3(r, input, "mean", graph->mean);
    if (!status) status = numbers3(r, input, "std", graph->std);
    for (int i = 0; !status && i < 3; i++)
        if (graph->std[i] == 0) status = cl_refuse(r, "'std' of the input must not be 0");
    return status;
}

/* "resize": how the publisher of the network brings an image to this size. */
static coulis_status read_resize(const cl_graph_reader *r, const cJSON *root, cl_graph *graph) {
    const cJSON *resize = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, "input"), "resize");
    if (!resize) return COULIS_OK;
    const char *filter = cl_json_text(resize, "filter"), *center = cl_json_text(resize, "center");
    graph->filter = filter ? coulis_option_number("filter", filter) : -1;
    if (graph->filter < 0) return cl_refuse(r, "'filter' of 'resize' is missing or not known");
    graph->center = center ? coulis_option_number("center", center) : COULIS_CENTER_EVEN;
    if (graph->center < 0) return cl_refuse(r, "'center' of 'resize' is not known");
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(resize, "size");
    bool pair = cJSON_IsArray(size) && cJSON_GetArraySize(size) == 2;
    bool good = pair ? cl_json_whole(cJSON_GetArrayItem(size, 0), graph->height, SIDE_MAX, &graph->resize_height) &&
                           cl_json_whole(cJSON_GetArrayItem(size, 1), graph->width, SIDE_MAX, &graph->resize_width)
                     : cl_json_whole(size, graph->height > graph->width ? graph->height : graph->width, SIDE_MAX,
                                     &graph->resize_width);
    if (!good)
        return cl_refuse(r,
                         "'size' of 'resize' must be the shorter side or [height, width], not less than the input's "
                         "and at most %d",
                         SIDE_MAX);
    graph->has_resize = true;
    graph->resize_default = !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(resize, "default"));
    return COULIS_OK;
}

static coulis_status read_nodes(cl_graph_reader *r, const cJSON *root, cl_graph *graph) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "nodes");
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (count < 1 || count > NODES_MAX) return cl_refuse(r, "'nodes' must list 1 to %d nodes", NODES_MAX);
    graph->nodes = cl_alloc_zero((size_t)count + 1, sizeof *graph->nodes);
    if (!graph->nodes) return cl_fail_memory(r->error, "the network", (size_t)count * sizeof *graph->nodes);
    int64_t input_count = 0;
    const cJSON *json;
    cJSON_ArrayForEach(json, list) input_count += cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "inputs"));
    if (input_count > INPUTS_MAX) return cl_refuse(r, "the nodes together have more than %d inputs", INPUTS_MAX);
    int32_t *inputs = graph->inputs = cl_alloc_zero((size_t)input_count + 1, sizeof *inputs);
    if (!inputs) return cl_fail_memory(r->error, "the network", (size_t)input_count * sizeof *inputs);
    graph->nodes[0] = (cl_node){.name = graph->vocabulary > 0 ? "text" : "image",
                                .op = CL_OP_IMAGE,
                                .height = graph->height,
                                .width = graph->width,
                                .channels = 3};
    graph->node_count = 1;
    cJSON_ArrayForEach(json, list) {
        cl_node *node = &graph->nodes[graph->node_count];
        node->inputs = inputs;
        r->node = NULL;
        node->name = cl_json_text(json, "name");
        if (!node->name) return cl_refuse(r, "node %d has no name", graph->node_count);
        r->node = node->name;
        if (cl_graph_find(graph, node->name) >= 0) return cl_refuse(r, "the name is taken by an earlier node");
        coulis_status status = cl_graph_read_node(r, json, graph, node);
        if (status) return status;
        inputs += node->input_count;
        graph->node_count++;
    }
    r->node = NULL;
    return COULIS_OK;
}

static coulis_status read_features(const cl_graph_reader *r, const cJSON *root, cl_graph *graph) {
    const cJSON *features = cJSON_GetObjectItemCaseSensitive(root, "features");
    const char *meant = cl_json_text(features, "default");
    if (!meant) meant = coulis_option_word("features", COULIS_FEATURES_POOLED);
    graph->default_features = -1;
    for (int32_t kind = 0; kind < COULIS_FEATURES_DEFAULT; kind++) {
        const char *key = coulis_option_word("features", kind), *name = cl_json_text(features, key);
        graph->features[kind] = name ? cl_graph_find(graph, name) : -1;
        if (name && graph->features[kind] <= 0) return cl_refuse(r, "'features' must name a node under '%s'", key);
        if (name && strcmp(key, meant) == 0) graph->default_features = kind;
    }
    if (graph->default_features < 0) return cl_refuse(r, "'features' must name a node under '%.40s'", meant);
    return COULIS_OK;
}

/* Zeros before a convolution become its own padding, as far as that is less wide than its window. */
static void fold_padding(cl_graph *graph) {
    for (int32_t i = 1; i < graph->node_count; i++) {
        cl_node *conv = &graph->nodes[i];
        while (conv->op == CL_OP_CONV) {
            const cl_node *pad = &graph->nodes[conv->inputs[0]];
            if (pad->op != CL_OP_PAD || pad->value != 0) break;
            cl_window w = conv->window;
            bool fits = true;
            for (int d = 0; d < 2; d++) {
                int32_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1;
                w.pad_before[d] += pad->window.pad_before[d];
                w.pad_after[d] += pad->window.pad_after[d];
                fits = fits && w.pad_before[d] < reach && w.pad_after[d] < reach;
            }
            if (!fits) break;
            conv->window = w;
            conv->inputs[0] = pad->inputs[0];
        }
    }
}

coulis_status cl_graph_parse(const char *text, const char *file, cl_graph **out, coulis_error *error) {
    cl_graph_reader r = {.file = file, .error = error};
    cl_graph *graph = cl_alloc_zero(1, sizeof *graph);
    if (!graph) return cl_fail_memory(error, "the network", sizeof *graph);
    const char *end;
    bool short_of_memory;
    cJSON *root = cl_json_parse(text, strlen(text), &end, &short_of_memory);
    end += strspn(end, " \t\r\n");
    graph->json = root;
    coulis_status status = COULIS_OK;
    int32_t format = 0;
    if (short_of_memory) {
        status = cl_fail_memory(error, "the description of the network", strlen(text));
    } else if (!cJSON_IsObject(root) || *end) {
        status = cl_refuse(&r, "the description of the network is not valid JSON");
    } else if (!cl_json_whole(cJSON_GetObjectItemCaseSensitive(root, "format"), 1, 1, &format)) {
        status = cl_refuse(&r, "not in format 1, the only one this version reads");
    } else {
        graph->name = cl_json_text(root, "name");
        graph->source = cl_json_text(root, "source");
        graph->licence = cl_json_text(root, "licence");
        if (!graph->source) graph->source = "";
        if (!graph->licence) graph->licence = "";
        if (!graph->name) status = cl_refuse(&r, "the network has no 'name'");
    }
    if (!status) status = read_input(&r, root, graph);
    if (!status) status = read_resize(&r, root, graph);
    if (!status) status = read_nodes(&r, root, graph);
    if (!status) status = read_features(&r, root, graph);
    if (status) {
        cl_graph_free(graph);
        return status;
    }
    fold_padding(graph);
    *out = graph;
    return COULIS_OK;
}
