/* A network as its file describes it: nodes with shapes, before any preparation. */
#ifndef CL_NET_GRAPH_H
#define CL_NET_GRAPH_H

#include <stdbool.h>

#include "coulis.h"

typedef enum cl_op {
    CL_OP_IMAGE, /* the input, of a network of texts their tokens; always node 0 */
    CL_OP_CONV,
    CL_OP_DENSE,
    CL_OP_BATCH_NORM,
    CL_OP_RELU,
    CL_OP_RELU6,
    CL_OP_CLIP,
    CL_OP_LEAKY_RELU,
    CL_OP_SIGMOID,
    CL_OP_HARD_SIGMOID,
    CL_OP_SWISH,
    CL_OP_HARD_SWISH,
    CL_OP_SOFTMAX,
    CL_OP_ADD,
    CL_OP_SUBTRACT,
    CL_OP_MULTIPLY,
    CL_OP_DIVIDE,
    CL_OP_CONCAT,
    CL_OP_SLICE,
    CL_OP_SHUFFLE,
    CL_OP_PAD,
    CL_OP_FLATTEN,
    CL_OP_MAX_POOL,
    CL_OP_AVERAGE_POOL,
    CL_OP_GLOBAL_MAX_POOL,
    CL_OP_GLOBAL_AVERAGE_POOL,
    CL_OP_SCALE,
    CL_OP_PRELU,
    CL_OP_TANH,
    CL_OP_GELU,
    CL_OP_POWER,
    CL_OP_LAYER_NORM,
    CL_OP_L2_NORM,
    CL_OP_GRN,
    CL_OP_LOCAL_RESPONSE_NORM,
    CL_OP_TOKENS,
    CL_OP_TAKE,
    CL_OP_ATTENTION,
    CL_OP_ATTENTION_POOL,
    CL_OP_EMBED
} cl_op;

/* Where a node's weights stand, by operator.
 *   conv, dense   weight, bias
 *   batch_norm    scale, shift, mean, variance
 *   scale, layer_norm, grn   scale, shift
 *   prelu         slope
 *   tokens        prefix, position
 *   attention_pool   query
 *   embed         weight, position */
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

#endif
