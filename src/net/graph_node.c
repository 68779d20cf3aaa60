#include "net/graph_node.h"

#include <math.h>
#include <string.h>

/* Far above any published network; they bound memory and keep products inside 64 bits. */
#define CHANNELS_MAX 65536
#define VECTOR_MAX (1 << 24) /* channels of what is flattened or put together */
#define CONCAT_MAX 64
#define KERNEL_MAX CL_KERNEL_MAX
#define FEATURE_MAP_MAX ((int64_t)1 << 30)
#define NUMBER_MAX 1e30 /* well inside float32 */

static const struct {
    const char *name;
    int32_t inputs_min, inputs_max;
    const char *weights[CL_WEIGHTS_MAX]; /* the keys that name tensors */
} operators[] = {
    [CL_OP_IMAGE] = {"image", 0, 0, {NULL}},
    [CL_OP_CONV] = {"conv", 1, 1, {"weight", "bias"}},
    [CL_OP_DENSE] = {"dense", 1, 1, {"weight", "bias"}},
    [CL_OP_BATCH_NORM] = {"batch_norm", 1, 1, {"scale", "shift", "mean", "variance"}},
    [CL_OP_RELU] = {"relu", 1, 1, {NULL}},
    [CL_OP_RELU6] = {"relu6", 1, 1, {NULL}},
    [CL_OP_CLIP] = {"clip", 1, 1, {NULL}},
    [CL_OP_LEAKY_RELU] = {"leaky_relu", 1, 1, {NULL}},
    [CL_OP_SIGMOID] = {"sigmoid", 1, 1, {NULL}},
    [CL_OP_HARD_SIGMOID] = {"hard_sigmoid", 1, 1, {NULL}},
    [CL_OP_SWISH] = {"swish", 1, 1, {NULL}},
    [CL_OP_HARD_SWISH] = {"hard_swish", 1, 1, {NULL}},
    [CL_OP_SOFTMAX] = {"softmax", 1, 1, {NULL}},
    [CL_OP_ADD] = {"add", 2, 2, {NULL}},
    [CL_OP_SUBTRACT] = {"subtract", 2, 2, {NULL}},
    [CL_OP_MULTIPLY] = {"multiply", 2, 2, {NULL}},
    [CL_OP_DIVIDE] = {"divide", 2, 2, {NULL}},
    [CL_OP_CONCAT] = {"concat", 2, CONCAT_MAX, {NULL}},
    [CL_OP_SLICE] = {"slice", 1, 1, {NULL}},
    [CL_OP_SHUFFLE] = {"shuffle", 1, 1, {NULL}},
    [CL_OP_PAD] = {"pad", 1, 1, {NULL}},
    [CL_OP_FLATTEN] = {"flatten", 1, 1, {NULL}},
    [CL_OP_MAX_POOL] = {"max_pool", 1, 1, {NULL}},
    [CL_OP_AVERAGE_POOL] = {"average_pool", 1, 1, {NULL}},
    [CL_OP_GLOBAL_MAX_POOL] = {"global_max_pool", 1, 1, {NULL}},
    [CL_OP_GLOBAL_AVERAGE_POOL] = {"global_average_pool", 1, 1, {NULL}},
};
#define OPERATORS ((int)(sizeof operators / sizeof operators[0]))

int32_t cl_graph_find(const cl_graph *graph, const char *name) {
    for (int32_t i = graph->node_count - 1; i >= 0; i--) /* inputs are mostly recent */
        if (strcmp(graph->nodes[i].name, name) == 0) return i;
    return -1;
}

/* `count` whole numbers under `key`; missing: `otherwise` for each. */
static coulis_status wholes(const cl_graph_reader *r, const cJSON *object, const char *key, int count, double low,
                            double high, int32_t otherwise, int32_t *out) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!list) {
        for (int i = 0; i < count; i++) out[i] = otherwise;
        return COULIS_OK;
    }
    bool good = cJSON_IsArray(list) && cJSON_GetArraySize(list) == count;
    for (int i = 0; good && i < count; i++) good = cl_json_whole(cJSON_GetArrayItem(list, i), low, high, &out[i]);
    if (!good) return cl_refuse(r, "'%s' must be %d whole numbers from %.0f to %.0f", key, count, low, high);
    return COULIS_OK;
}

/* The whole number under `key`, from low to high. */
static coulis_status whole(const cl_graph_reader *r, const cJSON *json, const char *key, int32_t low, int32_t high,
                           int32_t *out) {
    if (cl_json_whole(cJSON_GetObjectItemCaseSensitive(json, key), low, high, out)) return COULIS_OK;
    return cl_refuse(r, "'%s' must be a whole number from %d to %d", key, low, high);
}

/* The number under `key`; where it may be missing `out` keeps what it has. */
static coulis_status number(const cl_graph_reader *r, const cJSON *json, const char *key, bool may_be_missing,
                            double low, double high, double *out) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!item && may_be_missing) return COULIS_OK;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= low && item->valuedouble <= high))
        return cl_refuse(r, "'%s' must be a number from %g to %g", key, low, high);
    *out = item->valuedouble;
    return COULIS_OK;
}

static coulis_status any_number(const cl_graph_reader *r, const cJSON *json, const char *key, bool may_be_missing,
                                double *out) {
    return number(r, json, key, may_be_missing, -NUMBER_MAX, NUMBER_MAX, out);
}

/* Kernel, stride, dilation and padding, and from them the size of the output. */
static coulis_status read_window(const cl_graph_reader *r, const cJSON *json, const cl_node *input, cl_node *node) {
    cl_window *w = &node->window;
    coulis_status status;
    if (!cJSON_GetObjectItemCaseSensitive(json, "kernel")) return cl_refuse(r, "no 'kernel'");
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
        if (room < 0) return cl_refuse(r, "a kernel of %d does not fit into %d pixels", reach, size[i]);
        if (w->pad_before[i] >= reach || w->pad_after[i] >= reach)
            return cl_refuse(r, "a padding as wide as the kernel");
        out[i] = room / w->stride[i] + 1;
    }
    node->height = out[0];
    node->width = out[1];
    return COULIS_OK;
}

static coulis_status read_conv(const cl_graph_reader *r, const cJSON *json, const cl_node *input, cl_node *node) {
    coulis_status status = whole(r, json, "channels", 1, CHANNELS_MAX, &node->channels);
    node->groups = 1;
    if (status == COULIS_OK && cJSON_HasObjectItem(json, "groups"))
        status = whole(r, json, "groups", 1, CHANNELS_MAX, &node->groups);
    if (status != COULIS_OK) return status;
    if (input->channels % node->groups != 0 || node->channels % node->groups != 0)
        return cl_refuse(r, "%d groups do not divide %d input and %d output channels", node->groups, input->channels,
                         node->channels);
    return read_window(r, json, input, node);
}

static coulis_status read_pool(const cl_graph_reader *r, const cJSON *json, const cl_node *input, cl_node *node) {
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(json, "count_include_pad");
    if (count && !cJSON_IsBool(count)) return cl_refuse(r, "'count_include_pad' must be true or false");
    node->count_padding = cJSON_IsTrue(count);
    coulis_status status = read_window(r, json, input, node);
    /* Undilated and padded by less than the kernel, every window holds at least one pixel. */
    if (status == COULIS_OK && (node->window.dilation[0] != 1 || node->window.dilation[1] != 1))
        return cl_refuse(r, "pooling with dilation is not supported");
    return status;
}

static coulis_status read_clip(const cl_graph_reader *r, const cJSON *json, cl_node *node) {
    node->low = -INFINITY;
    node->high = INFINITY;
    coulis_status status = any_number(r, json, "low", true, &node->low);
    if (status == COULIS_OK) status = any_number(r, json, "high", true, &node->high);
    if (status == COULIS_OK && node->low > node->high) return cl_refuse(r, "'low' is more than 'high'");
    return status;
}

static coulis_status read_arithmetic(const cl_graph_reader *r, const cl_node *input, const cl_node *other,
                                     cl_node *node) {
    const bool spread = input->height == 1 && input->width == 1; /* the first over the area of the second */
    if (other->channels != input->channels ||
        (!spread && !(other->height == 1 && other->width == 1) &&
         (other->height != input->height || other->width != input->width)))
        return cl_refuse(r, "%dx%dx%d and %dx%dx%d do not fit together", input->height, input->width, input->channels,
                         other->height, other->width, other->channels);
    if (spread) {
        node->height = other->height;
        node->width = other->width;
    }
    return COULIS_OK;
}

static coulis_status read_concat(const cl_graph_reader *r, const cl_graph *graph, const cl_node *input, cl_node *node) {
    int64_t channels = 0;
    for (int32_t i = 0; i < node->input_count; i++) {
        const cl_node *other = &graph->nodes[node->inputs[i]];
        if (other->height != input->height || other->width != input->width)
            return cl_refuse(r, "maps of %dx%d and %dx%d pixels do not fit together", input->height, input->width,
                             other->height, other->width);
        channels += other->channels;
    }
    if (channels > VECTOR_MAX) return cl_refuse(r, "more than %d channels", VECTOR_MAX);
    node->channels = (int32_t)channels;
    return COULIS_OK;
}

static coulis_status read_pad(const cl_graph_reader *r, const cJSON *json, cl_node *node) {
    int32_t given[4]; /* top, left, bottom, right */
    if (!cJSON_GetObjectItemCaseSensitive(json, "padding")) return cl_refuse(r, "no 'padding'");
    coulis_status status = wholes(r, json, "padding", 4, 0, KERNEL_MAX, 0, given);
    if (status == COULIS_OK) status = any_number(r, json, "value", true, &node->b);
    if (status != COULIS_OK) return status;
    node->window = (cl_window){.pad_before = {given[0], given[1]}, .pad_after = {given[2], given[3]}};
    node->height += given[0] + given[2];
    node->width += given[1] + given[3];
    return COULIS_OK;
}

/* The fields of an operator and the shape of its output, which is the input's so far. */
static coulis_status read_fields(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    const cl_node *input = &graph->nodes[node->inputs[0]];
    coulis_status status;
    switch (node->op) {
    case CL_OP_CONV: return read_conv(r, json, input, node);
    case CL_OP_DENSE:
        if (input->height != 1 || input->width != 1) return cl_refuse(r, "'dense' needs an input of 1x1 pixels");
        return whole(r, json, "units", 1, CHANNELS_MAX, &node->channels);
    case CL_OP_BATCH_NORM: return number(r, json, "epsilon", false, 0, 1, &node->epsilon);
    case CL_OP_CLIP: return read_clip(r, json, node);
    case CL_OP_LEAKY_RELU: return any_number(r, json, "slope", false, &node->a);
    case CL_OP_HARD_SIGMOID:
        status = any_number(r, json, "alpha", false, &node->a);
        return status == COULIS_OK ? any_number(r, json, "beta", false, &node->b) : status;
    case CL_OP_HARD_SWISH:
        node->a = 1.0 / 6;
        node->b = 0.5;
        return COULIS_OK;
    case CL_OP_ADD:
    case CL_OP_SUBTRACT:
    case CL_OP_MULTIPLY:
    case CL_OP_DIVIDE: return read_arithmetic(r, input, &graph->nodes[node->inputs[1]], node);
    case CL_OP_CONCAT: return read_concat(r, graph, input, node);
    case CL_OP_SLICE:
        status = whole(r, json, "first", 0, input->channels - 1, &node->first);
        if (status != COULIS_OK) return status;
        return whole(r, json, "channels", 1, input->channels - node->first, &node->channels);
    case CL_OP_SHUFFLE:
        status = whole(r, json, "groups", 1, CHANNELS_MAX, &node->groups);
        if (status == COULIS_OK && input->channels % node->groups != 0)
            return cl_refuse(r, "%d groups do not divide %d channels", node->groups, input->channels);
        return status;
    case CL_OP_PAD: return read_pad(r, json, node);
    case CL_OP_FLATTEN: {
        int64_t count = (int64_t)input->height * input->width * input->channels;
        if (count > VECTOR_MAX) return cl_refuse(r, "a vector of more than %d numbers", VECTOR_MAX);
        node->channels = (int32_t)count;
        node->height = node->width = 1;
        return COULIS_OK;
    }
    case CL_OP_MAX_POOL:
    case CL_OP_AVERAGE_POOL: return read_pool(r, json, input, node);
    case CL_OP_GLOBAL_MAX_POOL:
    case CL_OP_GLOBAL_AVERAGE_POOL: node->height = node->width = 1; return COULIS_OK;
    case CL_OP_IMAGE:
    case CL_OP_RELU:
    case CL_OP_RELU6:
    case CL_OP_SIGMOID:
    case CL_OP_SWISH:
    case CL_OP_SOFTMAX: break;
    }
    return COULIS_OK;
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
        node->inputs[node->input_count++] = found;
    }
    return COULIS_OK;
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
    const cl_node *input = &graph->nodes[node->inputs[0]];
    node->height = input->height;
    node->width = input->width;
    node->channels = input->channels;
    status = read_fields(r, json, graph, node);
    for (int i = 0; status == COULIS_OK && i < CL_WEIGHTS_MAX && operators[which].weights[i]; i++) {
        const char *key = operators[which].weights[i];
        node->weights[i] = cl_json_text(json, key);
        if (!node->weights[i] && strcmp(key, "bias") != 0) return cl_refuse(r, "'%s' must name a tensor", key);
    }
    if (status == COULIS_OK && (int64_t)node->height * node->width * node->channels > FEATURE_MAP_MAX)
        status = cl_refuse(r, "an output of %dx%dx%d is too large", node->height, node->width, node->channels);
    return status;
}
