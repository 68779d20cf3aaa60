/* Nodes with a window: convolutions, poolings, and padding. */
#include "net/graph_node.h"

/* Kernel, stride, dilation and padding, and from them the size of the output. */
static coulis_status read_window(const cl_graph_reader *r, const cJSON *json, const cl_node *input, cl_node *node) {
    cl_window *w = &node->window;
    coulis_status status;
    if (!cJSON_GetObjectItemCaseSensitive(json, "kernel")) return cl_refuse(r, "no 'kernel'");
    if ((status = cl_read_wholes(r, json, "kernel", 2, 1, CL_KERNEL_MAX, 1, w->kernel)) != COULIS_OK ||
        (status = cl_read_wholes(r, json, "stride", 2, 1, CL_KERNEL_MAX, 1, w->stride)) != COULIS_OK ||
        (status = cl_read_wholes(r, json, "dilation", 2, 1, CL_KERNEL_MAX, 1, w->dilation)) != COULIS_OK)
        return status;
    const cJSON *padding = cJSON_GetObjectItemCaseSensitive(json, "padding");
    bool same = cJSON_IsString(padding) && strcmp(padding->valuestring, "same") == 0;
    int32_t given[4] = {0, 0, 0, 0}; /* top, left, bottom, right */
    status = same ? COULIS_OK : cl_read_wholes(r, json, "padding", 4, 0, CL_KERNEL_MAX, 0, given);
    if (status) return status;
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

coulis_status cl_read_conv(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    const cl_node *input = cl_node_input(graph, node, 0);
    coulis_status status = cl_read_whole(r, json, "channels", 1, CL_CHANNELS_MAX, &node->channels);
    node->groups = 1;
    if (!status && cJSON_HasObjectItem(json, "groups"))
        status = cl_read_whole(r, json, "groups", 1, CL_CHANNELS_MAX, &node->groups);
    if (status) return status;
    if (input->channels % node->groups != 0 || node->channels % node->groups != 0)
        return cl_refuse(r, "%d groups do not divide %d input and %d output channels", node->groups, input->channels,
                         node->channels);
    return read_window(r, json, input, node);
}

coulis_status cl_read_pool(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(json, "count_include_pad");
    if (count && !cJSON_IsBool(count)) return cl_refuse(r, "'count_include_pad' must be true or false");
    node->count_padding = cJSON_IsTrue(count);
    coulis_status status = read_window(r, json, cl_node_input(graph, node, 0), node);
    /* Undilated and padded by less than the kernel, every window holds at least one pixel. */
    if (!status && (node->window.dilation[0] != 1 || node->window.dilation[1] != 1))
        return cl_refuse(r, "pooling with dilation is not supported");
    return status;
}

coulis_status cl_read_pad(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    int32_t given[4]; /* top, left, bottom, right */
    if (!cJSON_GetObjectItemCaseSensitive(json, "padding")) return cl_refuse(r, "no 'padding'");
    coulis_status status = cl_read_wholes(r, json, "padding", 4, 0, CL_KERNEL_MAX, 0, given);
    if (!status) status = cl_read_any_number(r, json, "value", true, &node->value);
    if (status) return status;
    node->window = (cl_window){.pad_before = {given[0], given[1]}, .pad_after = {given[2], given[3]}};
    node->height += given[0] + given[2];
    node->width += given[1] + given[3];
    return COULIS_OK;
}
