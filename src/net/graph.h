/* A network as its file describes it: nodes with shapes, before any preparation. */
#pragma once

#include "base/base.h"

/* Every operator of model files, a row each: its
 *
 *   number, CL_OP_...
 *   name in the file
 *   inputs, at least and at most
 *   fields: cl_read_... works them out, and the shape of the output; `nothing`: none, and the shape of the input
 *   step: cl_step_..., in steps/, runs it
 *   weights: the key that names the tensor, its shape (graph_node.c), and whether it MUST or MAY be there
 *
 * CL_OP_IMAGE is the input, of a network of texts their tokens; always node 0. */
/* clang-format off */
#define CL_OPERATORS(ROW) \
    ROW(IMAGE,               "image",               0, 0,             nothing,        image,      {0}) \
    ROW(CONV,                "conv",                1, 1,             conv,           conv, \
        {"weight", OF_CONV, MUST}, {"bias", PER_CHANNEL, MAY}) \
    ROW(DENSE,               "dense",               1, 1,             dense,          pointwise, \
        {"weight", OF_DENSE, MUST}, {"bias", PER_CHANNEL, MAY}) \
    ROW(BATCH_NORM,          "batch_norm",          1, 1,             norm,           scale, \
        {"scale", PER_CHANNEL, MUST}, {"shift", PER_CHANNEL, MUST}, {"mean", PER_CHANNEL, MUST}, \
        {"variance", PER_CHANNEL, MUST}) \
    ROW(RELU,                "relu",                1, 1,             nothing,        scale,      {0}) \
    ROW(RELU6,               "relu6",               1, 1,             nothing,        scale,      {0}) \
    ROW(CLIP,                "clip",                1, 1,             clip,           scale,      {0}) \
    ROW(LEAKY_RELU,          "leaky_relu",          1, 1,             leaky,          activation, {0}) \
    ROW(SIGMOID,             "sigmoid",             1, 1,             nothing,        activation, {0}) \
    ROW(HARD_SIGMOID,        "hard_sigmoid",        1, 1,             hard,           activation, {0}) \
    ROW(SWISH,               "swish",               1, 1,             nothing,        activation, {0}) \
    ROW(HARD_SWISH,          "hard_swish",          1, 1,             nothing,        activation, {0}) \
    ROW(SOFTMAX,             "softmax",             1, 1,             nothing,        softmax,    {0}) \
    ROW(ADD,                 "add",                 2, 2,             arithmetic,     arithmetic, {0}) \
    ROW(SUBTRACT,            "subtract",            2, 2,             arithmetic,     arithmetic, {0}) \
    ROW(MULTIPLY,            "multiply",            2, 2,             arithmetic,     arithmetic, {0}) \
    ROW(DIVIDE,              "divide",              2, 2,             arithmetic,     arithmetic, {0}) \
    ROW(CONCAT,              "concat",              2, CL_INPUTS_MAX, concat,         concat,     {0}) \
    ROW(SLICE,               "slice",               1, 1,             slice,          slice,      {0}) \
    ROW(SHUFFLE,             "shuffle",             1, 1,             shuffle,        shuffle,    {0}) \
    ROW(PAD,                 "pad",                 1, 1,             pad,            pad,        {0}) \
    ROW(FLATTEN,             "flatten",             1, 1,             flatten,        flatten,    {0}) \
    ROW(MAX_POOL,            "max_pool",            1, 1,             pool,           pool,       {0}) \
    ROW(AVERAGE_POOL,        "average_pool",        1, 1,             pool,           pool,       {0}) \
    ROW(GLOBAL_MAX_POOL,     "global_max_pool",     1, 1,             global,         pool,       {0}) \
    ROW(GLOBAL_AVERAGE_POOL, "global_average_pool", 1, 1,             global,         pool,       {0}) \
    ROW(SCALE,               "scale",               1, 1,             nothing,        scale, \
        {"scale", PER_CHANNEL, MUST}, {"shift", PER_CHANNEL, MAY}) \
    ROW(PRELU,               "prelu",               1, 1,             nothing,        prelu, \
        {"slope", PER_CHANNEL, MUST}) \
    ROW(TANH,                "tanh",                1, 1,             nothing,        activation, {0}) \
    ROW(GELU,                "gelu",                1, 1,             gelu,           activation, {0}) \
    ROW(POWER,               "power",               1, 1,             power,          power,      {0}) \
    ROW(LAYER_NORM,          "layer_norm",          1, 1,             norm,           layer_norm, \
        {"scale", PER_CHANNEL, MAY}, {"shift", PER_CHANNEL, MAY}) \
    ROW(L2_NORM,             "l2_norm",             1, 1,             norm,           row_norm,   {0}) \
    ROW(GRN,                 "grn",                 1, 1,             norm,           grn, \
        {"scale", PER_CHANNEL, MUST}, {"shift", PER_CHANNEL, MUST}) \
    ROW(LOCAL_RESPONSE_NORM, "local_response_norm", 1, 1,             local,          row_norm,   {0}) \
    ROW(TOKENS,              "tokens",              1, 1,             tokens,         tokens, \
        {"prefix", OF_PREFIX, MAY}, {"position", OF_POSITION, MAY}) \
    ROW(TAKE,                "take",                1, 1,             take,           take,       {0}) \
    ROW(ATTENTION,           "attention",           1, 2,             attention,      attention,  {0}) \
    ROW(ATTENTION_POOL,      "attention_pool",      1, 1,             attention_pool, attention, \
        {"query", PER_CHANNEL, MUST}) \
    ROW(EMBED,               "embed",               1, 1,             embed,          embed, \
        {"weight", OF_TABLE, MUST}, {"position", OF_PLACES, MAY})
/* clang-format on */

#define CL_OPERATOR_NUMBER(op, ...) CL_OP_##op,
typedef enum cl_op { CL_OPERATORS(CL_OPERATOR_NUMBER) CL_OPERATOR_COUNT } cl_op;

/* Places of weights in their row, as code names them. */
enum {
    CL_WEIGHT = 0,
    CL_BIAS = 1,
    CL_SCALE = 0,
    CL_SHIFT = 1,
    CL_MEAN = 2,
    CL_VARIANCE = 3,
    CL_SLOPE = 0,
    CL_PREFIX = 0,
    CL_POSITION = 1,
    CL_QUERY = 0
};
#define CL_WEIGHTS_MAX 4

/* A tensor of the file that a node needs. */
typedef struct cl_weight {
    const char *name; /* NULL for none */
    int32_t rank;
    int64_t shape[4];
} cl_weight;

/* The three ways to compute GELU that publishers have. */
typedef enum cl_gelu { CL_FORM_ERF, CL_FORM_TANH, CL_FORM_QUICK } cl_gelu;

/* The tallest and widest kernel or pooling window. */
#define CL_KERNEL_MAX 64

typedef struct cl_window { /* of conv and the poolings, of pad the padding; [0] is vertical, [1] horizontal */
    int32_t kernel[2], stride[2], dilation[2];
    int32_t pad_before[2], pad_after[2];
} cl_window;

typedef struct cl_node {
    const char *name;
    cl_op op;
    int32_t *inputs; /* numbers of earlier nodes */
    int32_t input_count;
    int32_t height, width, channels; /* of the output */
    cl_window window;
    union {                 /* fields of one operator or several of a kind */
        int32_t groups;     /* conv, shuffle */
        int32_t first;      /* slice: the first channel; take: the first row */
        bool count_padding; /* average_pool: padded places count in the divisor */
        double epsilon;     /* batch_norm, layer_norm, l2_norm, grn */
        double slope;       /* leaky_relu */
        double value;       /* pad */
        struct {
            double low, high;
        } clip;
        struct {
            double alpha, beta;
        } hard;          /* hard_sigmoid */
        cl_gelu form;    /* gelu */
        double exponent; /* power */
        struct {
            int32_t size;
            double alpha, beta, bias;
        } local;        /* local_response_norm */
        int32_t before; /* tokens: those before the rows of the input */
        struct {
            int32_t heads;
            double scale;
            bool causal;
        } attention;
    };
    cl_weight weights[CL_WEIGHTS_MAX];
} cl_node;

typedef struct cl_graph {
    const char *name, *source, *licence;
    int32_t width, height;  /* of the input image; 1 and the number of tokens of a text */
    int32_t vocabulary;     /* tokens are numbers below it; 0: the network reads images */
    bool bgr;               /* the network's channel order is blue, green, red */
    double mean[3], std[3]; /* (x - mean) / std, in the network's channel order */
    bool has_resize;        /* the file says how the publisher resizes, as in coulis_image_options: */
    bool resize_default;    /* it is what is done when nothing is asked for */
    int32_t filter, resize_width, resize_height, center;
    cl_node *nodes;
    int32_t node_count;
    int32_t *inputs;                           /* of all nodes, one after another */
    int32_t features[COULIS_FEATURES_DEFAULT]; /* nodes whose output is that coulis_features; -1 for none */
    int32_t default_features;                  /* which of them is meant where none is named */
    void *json;                                /* owns the strings */
} cl_graph;

/* Reads the JSON of a model file and works out every shape. `file` names it in messages. What
 * does not fit (an unknown operator, an input that comes later, a size past the limits) is refused with
 * COULIS_BAD_MODEL. */
coulis_status cl_graph_parse(const char *text, const char *file, cl_graph **graph, coulis_error *error);
void cl_graph_free(cl_graph *graph);

/* Numbers in a weight; 0 when there is none. */
int64_t cl_weight_count(const cl_weight *weight);

/* The node whose output is that coulis_features; -1 when the network has none. */
int32_t cl_graph_features(const cl_graph *graph, int32_t features);

/* Multiply-adds of one image from the input to `output`. */
int64_t cl_graph_multiply_adds(const cl_graph *graph, int32_t output);
