#include "net/graph.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* Far above any published network; they bound memory and keep products inside 64 bits. */
#define NODES_MAX 20000
#define SIDE_MAX 8192
#define CHANNELS_MAX 65536
#define KERNEL_MAX CL_KERNEL_MAX
#define FEATURE_MAP_MAX ((int64_t)1 << 30)

static const struct {
    const char *name;
    int32_t inputs;
} operators[] = {
    [CL_OP_IMAGE] = {"image", 0},         [CL_OP_CONV] = {"conv", 1},
    [CL_OP_BATCH_NORM] = {"batch_norm", 1}, [CL_OP_RELU] = {"relu", 1},
    [CL_OP_RELU6] = {"relu6", 1},         [CL_OP_ADD] = {"add", 2},
    [CL_OP_MAX_POOL] = {"max_pool", 1},   [CL_OP_AVERAGE_POOL] = {"average_pool", 1},
    [CL_OP_GLOBAL_AVERAGE_POOL] = {"global_average_pool", 1}, [CL_OP_DENSE] = {"dense", 1},
};
#define OPERATORS ((int)(sizeof operators / sizeof operators[0]))

/* The file and node being read, for messages. */
typedef struct reader {
    const char *file;
    const char *node;
    coulis_error *error;
} reader;

#define REFUSE(r, ...) refuse(r, __VA_ARGS__)

__attribute__((format(printf, 2, 3))) static coulis_status refuse(const reader *r, const char *format, ...) {
    char reason[320];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (r->node) return cl_fail(r->error, COULIS_BAD_MODEL, "%s: node '%.80s': %s", r->file, r->node, reason);
    return cl_fail(r->error, COULIS_BAD_MODEL, "%s: %s", r->file, reason);
}

static const char *text_of(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* A whole number between low and high, or false. */
static bool whole(const cJSON *item, double low, double high, int32_t *out) {
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= low && item->valuedouble <= high) ||
        item->valuedouble != floor(item->valuedouble))
        return false;
    *out = (int32_t)item->valuedouble;
    return true;
}

/* `count` whole numbers under `key`; missing: `otherwise` for each. */
static coulis_status wholes(const reader *r, const cJSON *object, const char *key, int count, double low, double high,
                            int32_t otherwise, int32_t *out) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!list) {
        for (int i = 0; i < count; i++) out[i] = otherwise;
        return COULIS_OK;
    }
    bool good = cJSON_IsArray(list) && cJSON_GetArraySize(list) == count;
    for (int i = 0; good && i < count; i++) good = whole(cJSON_GetArrayItem(list, i), low, high, &out[i]);
    if (!good) return REFUSE(r, "'%s' must be %d whole numbers from %.0f to %.0f", key, count, low, high);
    return COULIS_OK;
}

static coulis_status numbers3(const reader *r, const cJSON *object, const char *key, double out[3]) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
    bool good = cJSON_IsArray(list) && cJSON_GetArraySize(list) == 3;
    for (int i = 0; good && i < 3; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, i);
        good = cJSON_IsNumber(item) && isfinite(item->valuedouble);
        if (good) out[i] = item->valuedouble;
    }
    return good ? COULIS_OK : REFUSE(r, "'input' needs '%s', a list of three numbers", key);
}

static coulis_status read_input(const reader *r, const cJSON *root, cl_graph *graph) {
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(root, "input");
    if (!cJSON_IsObject(input)) return REFUSE(r, "no 'input' in the description of the network");
    if (!whole(cJSON_GetObjectItemCaseSensitive(input, "width"), 1, SIDE_MAX, &graph->width) ||
        !whole(cJSON_GetObjectItemCaseSensitive(input, "height"), 1, SIDE_MAX, &graph->height))
        return REFUSE(r, "'input' needs a width and a height from 1 to %d", SIDE_MAX);
    const char *channels = text_of(input, "channels");
    if (!channels || (strcmp(channels, "RGB") != 0 && strcmp(channels, "BGR") != 0))
        return REFUSE(r, "'channels' of the input must be \"RGB\" or \"BGR\"");
    graph->bgr = channels[0] == 'B';
    coulis_status status = numbers3(r, input, "mean", graph->mean);
    if (status == COULIS_OK) status = numbers3(r, input, "std", graph->std);
    for (int i = 0; status == COULIS_OK && i < 3; i++)
        if (graph->std[i] == 0) status = REFUSE(r, "'std' of the input must not be 0");
    return status;
}

static int32_t find_node(const cl_graph *graph, const char *name) {
    for (int32_t i = graph->node_count - 1; i >= 0; i--) /* inputs are mostly recent */
        if (strcmp(graph->nodes[i].name, name) == 0) return i;
    return -1;
}

/* Kernel, stride, dilation and padding, and from them the size of the output. */
static coulis_status read_window(const reader *r, const cJSON *json, const cl_node *input, cl_node *node) {
    cl_window *w = &node->window;
    coulis_status status;
    if (!cJSON_GetObjectItemCaseSensitive(json, "kernel")) return REFUSE(r, "no 'kernel'");
    if ((status = wholes(r, json, "kernel", 2, 1, KERNEL_MAX, 1, w->kernel)) != COULIS_OK ||
        (status = wholes(r, json, "stride", 2, 1, KERNEL_MAX, 1, w->stride)) != COULIS_OK ||
        (status = wholes(r, json, "dilation", 2, 1, KERNEL_MAX, 1, w->dilation)) != COULIS_OK)
        return status;
    const cJSON *padding = cJSON_GetObjectItemCaseSensitive(json, "padding");
    bool same = cJSON_IsString(padding) && strcmp(padding->valuestring, "same") == 0;
    int32_t given[4] = {0, 0, 0, 0}; /* top, left, bottom, right */
    if (!same && (status = wholes(r, json, "padding", 4, 0, KERNEL_MAX, 0, given)) != COULIS_OK) return status;
    int32_t size[2] = {input->height, input->width}, out[2];
    for (int i = 0; i < 2; i++) {
        int32_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
        if (same) { /* TensorFlow's SAME: ceil(size / stride) outputs, the odd padded pixel goes after */
            int32_t outputs = (size[i] + w->stride[i] - 1) / w->stride[i];
            int32_t total = (outputs - 1) * w->stride[i] + reach - size[i];
            if (total < 0) total = 0;
            w->pad_before[i] = total / 2;
            w->pad_after[i] = total - total / 2;
        } else {
            w->pad_before[i] = given[i];
            w->pad_after[i] = given[i + 2];
        }
        int32_t room = size[i] + w->pad_before[i] + w->pad_after[i] - reach;
        if (room < 0) return REFUSE(r, "a kernel of %d does not fit into %d pixels", reach, size[i]);
        if (w->pad_before[i] >= reach || w->pad_after[i] >= reach)
            return REFUSE(r, "a padding as wide as the kernel");
        out[i] = room / w->stride[i] + 1;
    }
    node->height = out[0];
    node->width = out[1];
    return COULIS_OK;
}

static const char *const weight_keys[][CL_WEIGHTS_MAX] = {
    [CL_OP_CONV] = {"weight", "bias"},
    [CL_OP_BATCH_NORM] = {"scale", "shift", "mean", "variance"},
    [CL_OP_DENSE] = {"weight", "bias"},
};

static coulis_status read_weights(const reader *r, const cJSON *json, cl_node *node) {
    for (int i = 0; i < CL_WEIGHTS_MAX && weight_keys[node->op][i]; i++) {
        node->weights[i] = text_of(json, weight_keys[node->op][i]);
        if (!node->weights[i] && strcmp(weight_keys[node->op][i], "bias") != 0)
            return REFUSE(r, "'%s' must name a tensor", weight_keys[node->op][i]);
    }
    return COULIS_OK;
}

static coulis_status read_node(const reader *r, const cJSON *json, cl_graph *graph, cl_node *node) {
    const char *op = text_of(json, "op");
    if (!op) return REFUSE(r, "no 'op'");
    int number = CL_OP_CONV;
    while (number < OPERATORS && strcmp(operators[number].name, op) != 0) number++;
    if (number == OPERATORS) return REFUSE(r, "operator '%.60s' is not supported", op);
    node->op = (cl_op)number;

    const cJSON *inputs = cJSON_GetObjectItemCaseSensitive(json, "inputs");
    if (!cJSON_IsArray(inputs) || cJSON_GetArraySize(inputs) != operators[number].inputs)
        return REFUSE(r, "'%s' takes %d input(s)", op, operators[number].inputs);
    for (int i = 0; i < operators[number].inputs; i++) {
        const cJSON *item = cJSON_GetArrayItem(inputs, i);
        node->inputs[i] = cJSON_IsString(item) ? find_node(graph, item->valuestring) : -1;
        if (node->inputs[i] < 0)
            return REFUSE(r, "input '%.60s' is no earlier node", cJSON_IsString(item) ? item->valuestring : "?");
    }
    const cl_node *input = &graph->nodes[node->inputs[0]];
    node->height = input->height;
    node->width = input->width;
    node->channels = input->channels;
    coulis_status status = COULIS_OK;
    switch (node->op) {
    case CL_OP_CONV:
        if (!whole(cJSON_GetObjectItemCaseSensitive(json, "channels"), 1, CHANNELS_MAX, &node->channels))
            return REFUSE(r, "'channels' must be a whole number from 1 to %d", CHANNELS_MAX);
        node->groups = 1;
        if (cJSON_HasObjectItem(json, "groups") &&
            !whole(cJSON_GetObjectItemCaseSensitive(json, "groups"), 1, CHANNELS_MAX, &node->groups))
            return REFUSE(r, "'groups' must be a whole number from 1");
        if (input->channels % node->groups != 0 || node->channels % node->groups != 0)
            return REFUSE(r, "%d groups do not divide %d input and %d output channels", node->groups,
                          input->channels, node->channels);
        status = read_window(r, json, input, node);
        break;
    case CL_OP_MAX_POOL:
    case CL_OP_AVERAGE_POOL: {
        const cJSON *count = cJSON_GetObjectItemCaseSensitive(json, "count_include_pad");
        if (count && !cJSON_IsBool(count)) return REFUSE(r, "'count_include_pad' must be true or false");
        node->count_padding = cJSON_IsTrue(count);
        status = read_window(r, json, input, node);
        /* Undilated and padded by less than the kernel, every window holds at least one pixel. */
        if (status == COULIS_OK && (node->window.dilation[0] != 1 || node->window.dilation[1] != 1))
            status = REFUSE(r, "pooling with dilation is not supported");
        break;
    }
    case CL_OP_BATCH_NORM: {
        const cJSON *epsilon = cJSON_GetObjectItemCaseSensitive(json, "epsilon");
        if (!cJSON_IsNumber(epsilon) || !(epsilon->valuedouble >= 0 && epsilon->valuedouble <= 1))
            return REFUSE(r, "'epsilon' must be a number from 0 to 1");
        node->epsilon = epsilon->valuedouble;
        break;
    }
    case CL_OP_ADD: {
        const cl_node *other = &graph->nodes[node->inputs[1]];
        if (other->height != input->height || other->width != input->width || other->channels != input->channels)
            return REFUSE(r, "cannot add %dx%dx%d and %dx%dx%d", input->height, input->width, input->channels,
                          other->height, other->width, other->channels);
        break;
    }
    case CL_OP_GLOBAL_AVERAGE_POOL:
        if (input->height > KERNEL_MAX || input->width > KERNEL_MAX)
            return REFUSE(r, "an average over more than %dx%d pixels is not supported", KERNEL_MAX, KERNEL_MAX);
        node->height = node->width = 1;
        break;
    case CL_OP_DENSE:
        if (input->height != 1 || input->width != 1) return REFUSE(r, "'dense' needs an input of 1x1 pixels");
        if (!whole(cJSON_GetObjectItemCaseSensitive(json, "units"), 1, CHANNELS_MAX, &node->channels))
            return REFUSE(r, "'units' must be a whole number from 1 to %d", CHANNELS_MAX);
        break;
    case CL_OP_IMAGE:
    case CL_OP_RELU:
    case CL_OP_RELU6: break;
    }
    if (status == COULIS_OK) status = read_weights(r, json, node);
    if (status == COULIS_OK && (int64_t)node->height * node->width * node->channels > FEATURE_MAP_MAX)
        status = REFUSE(r, "an output of %dx%dx%d is too large", node->height, node->width, node->channels);
    return status;
}

static coulis_status read_nodes(reader *r, const cJSON *root, cl_graph *graph) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "nodes");
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (count < 1 || count > NODES_MAX) return REFUSE(r, "'nodes' must list 1 to %d nodes", NODES_MAX);
    graph->nodes = cl_alloc_zero((size_t)count + 1, sizeof *graph->nodes);
    if (!graph->nodes) return cl_fail_memory(r->error, "the network", (size_t)count * sizeof *graph->nodes);
    graph->nodes[0] = (cl_node){.name = "image", .op = CL_OP_IMAGE, .inputs = {-1, -1}, .height = graph->height,
                                .width = graph->width, .channels = 3};
    graph->node_count = 1;
    const cJSON *json;
    cJSON_ArrayForEach(json, list) {
        cl_node *node = &graph->nodes[graph->node_count];
        node->inputs[0] = node->inputs[1] = -1;
        r->node = NULL;
        node->name = text_of(json, "name");
        if (!node->name) return REFUSE(r, "node %d has no name", graph->node_count);
        r->node = node->name;
        if (find_node(graph, node->name) >= 0) return REFUSE(r, "the name is taken by an earlier node");
        coulis_status status = read_node(r, json, graph, node);
        if (status != COULIS_OK) return status;
        graph->node_count++;
    }
    r->node = NULL;
    return COULIS_OK;
}

static coulis_status read_features(const reader *r, const cJSON *root, cl_graph *graph) {
    const cJSON *features = cJSON_GetObjectItemCaseSensitive(root, "features");
    const char *const keys[] = {"map", "pooled", "logits"};
    int32_t *const nodes[] = {&graph->map, &graph->pooled, &graph->logits};
    for (int i = 0; i < 3; i++) {
        const char *name = text_of(features, keys[i]);
        *nodes[i] = name ? find_node(graph, name) : -1;
        if (*nodes[i] <= 0 && (name || i < 2)) return REFUSE(r, "'features' must name a node under '%s'", keys[i]);
    }
    return COULIS_OK;
}

coulis_status cl_graph_parse(const char *text, const char *file, cl_graph **out, coulis_error *error) {
    reader r = {.file = file, .error = error};
    cl_graph *graph = cl_alloc_zero(1, sizeof *graph);
    if (!graph) return cl_fail_memory(error, "the network", sizeof *graph);
    cJSON *root = cJSON_ParseWithOpts(text, NULL, 1);
    graph->json = root;
    coulis_status status = COULIS_OK;
    int32_t format = 0;
    if (!cJSON_IsObject(root)) {
        status = REFUSE(&r, "the description of the network is not valid JSON");
    } else if (!whole(cJSON_GetObjectItemCaseSensitive(root, "format"), 1, 1, &format)) {
        status = REFUSE(&r, "not in format 1, the only one this version reads");
    } else {
        graph->name = text_of(root, "name");
        graph->source = text_of(root, "source");
        graph->licence = text_of(root, "licence");
        if (!graph->source) graph->source = "";
        if (!graph->licence) graph->licence = "";
        if (!graph->name) status = REFUSE(&r, "the network has no 'name'");
    }
    if (status == COULIS_OK) status = read_input(&r, root, graph);
    if (status == COULIS_OK) status = read_nodes(&r, root, graph);
    if (status == COULIS_OK) status = read_features(&r, root, graph);
    if (status != COULIS_OK) {
        cl_graph_free(graph);
        return status;
    }
    *out = graph;
    return COULIS_OK;
}

void cl_graph_free(cl_graph *graph) {
    if (!graph) return;
    cJSON_Delete(graph->json);
    cl_free(graph->nodes);
    cl_free(graph);
}

int64_t cl_node_weight_shape(const cl_graph *graph, const cl_node *node, int which, int32_t *rank, int64_t shape[4]) {
    if (!node->weights[which]) return 0;
    const cl_node *input = &graph->nodes[node->inputs[0]];
    *rank = 1;
    shape[0] = node->channels;
    if (which == CL_WEIGHT && node->op == CL_OP_CONV) {
        *rank = 4;
        shape[1] = input->channels / node->groups;
        shape[2] = node->window.kernel[0];
        shape[3] = node->window.kernel[1];
    } else if (which == CL_WEIGHT && node->op == CL_OP_DENSE) {
        *rank = 2;
        shape[1] = input->channels;
    }
    int64_t count = 1; /* at most 65536 * 65536 * 64 * 64 = 2^44 */
    for (int i = 0; i < *rank; i++) count *= shape[i];
    return count;
}

int64_t cl_graph_multiply_adds(const cl_graph *graph, int32_t output) {
    double total = 0; /* a network that passes every check above may still claim more than 2^63 */
    for (int32_t i = 1; i <= output; i++) {
        const cl_node *node = &graph->nodes[i];
        int32_t rank;
        int64_t shape[4];
        if (node->op == CL_OP_CONV || node->op == CL_OP_DENSE)
            total += (double)cl_node_weight_shape(graph, node, CL_WEIGHT, &rank, shape) * node->height * node->width;
    }
    return total < 9e18 ? (int64_t)total : INT64_MAX;
}
