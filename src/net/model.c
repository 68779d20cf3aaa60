#include "net/model.h"

#include <math.h>

#include "base/files.h"
#include "base/sized.h"
#include "base/safetensors.h"
#include "net/model_find.h"

/* A description of a network is some hundred kilobytes; this bounds what a wrong file can cost. */
#define GRAPH_BYTES_MAX (64 << 20)
/* Random weights are made in memory: four times the largest network in common use (VGG19, 144 million). */
#define RANDOM_PARAMETERS_MAX 600000000

struct coulis_model {
    cl_graph *graph;
    cl_safetensors *file;  /* NULL with random weights */
    const float **weights; /* node_count x CL_WEIGHTS_MAX, NULL for none */
    float *random;         /* NULL, or the memory behind `weights` */
    int64_t parameters;
};

const cl_graph *cl_model_graph(const coulis_model *model) { return model->graph; }

const float *cl_model_weight(const coulis_model *model, const cl_node *node, int which) {
    return model->weights[(node - model->graph->nodes) * CL_WEIGHTS_MAX + which];
}

const char *cl_model_sha256(const coulis_model *model) { return model->file ? cl_safetensors_sha256(model->file) : ""; }

/* A variance that the square root cannot be taken of would only show as NaN in the vectors. */
static bool has_bad_variance(const coulis_model *model, const cl_node *node) {
    const float *variance = node->op == CL_OP_BATCH_NORM ? cl_model_weight(model, node, CL_VARIANCE) : NULL;
    for (int32_t c = 0; variance && c < node->channels; c++)
        if (!((double)variance[c] + node->epsilon > 0)) return true;
    return false;
}

/* Looks up every tensor the graph names and holds its shape against the graph. */
static coulis_status take_weights(coulis_model *model, const char *path, coulis_error *error) {
    const cl_graph *graph = model->graph;
    for (int32_t i = 1; i < graph->node_count; i++) {
        const cl_node *node = &graph->nodes[i];
        for (int which = 0; which < CL_WEIGHTS_MAX; which++) {
            const cl_weight *weight = &node->weights[which];
            const int64_t count = cl_weight_count(weight);
            if (count == 0) continue;
            const cl_tensor *tensor = cl_safetensors_find(model->file, weight->name);
            if (!tensor || tensor->dtype != CL_F32)
                return cl_fail(error, COULIS_BAD_MODEL, "%s: node '%.80s': no float32 tensor '%.80s' in the file", path,
                               node->name, weight->name);
            bool fits = tensor->rank == weight->rank;
            for (int d = 0; fits && d < weight->rank; d++) fits = tensor->shape[d] == weight->shape[d];
            if (!fits)
                return cl_fail(error, COULIS_BAD_MODEL,
                               "%s: node '%.80s': tensor '%.80s' does not have the shape the network needs", path,
                               node->name, weight->name);
            const float *data = tensor->data;
            for (int64_t k = 0; k < count; k++)
                if (!isfinite(data[k]))
                    return cl_fail(error, COULIS_BAD_MODEL, "%s: tensor '%.80s' holds NaN or infinity", path,
                                   weight->name);
            model->weights[i * CL_WEIGHTS_MAX + which] = data;
            model->parameters += count;
        }
        if (has_bad_variance(model, node))
            return cl_fail(error, COULIS_BAD_MODEL, "%s: node '%.80s': a variance is not positive", path, node->name);
    }
    return COULIS_OK;
}

/* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014) to [-1, 1). */
static float next_random(uint64_t *state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (float)(int32_t)(z >> 40) * 0x1p-23f - 1.0f;
}

/* Fills the weights so that numbers keep their size from layer to layer (He et al., Delving deep into
 * rectifiers, 2015: variance 2 / fan-in, that is a uniform range of sqrt(6 / fan-in)). */
static coulis_status draw_weights(coulis_model *model, const char *path, coulis_error *error) {
    const cl_graph *graph = model->graph;
    int64_t total = 0;
    for (int32_t i = 1; i < graph->node_count; i++) {
        for (int which = 0; which < CL_WEIGHTS_MAX; which++) {
            total += cl_weight_count(&graph->nodes[i].weights[which]);
            if (total > RANDOM_PARAMETERS_MAX)
                return cl_fail(error, COULIS_BAD_MODEL, "%s: more than %d weights", path, RANDOM_PARAMETERS_MAX);
        }
    }
    model->random = cl_alloc((size_t)total, sizeof *model->random);
    if (!model->random) return cl_fail_memory(error, "random weights", (size_t)total * sizeof *model->random);
    float *next = model->random;
    uint64_t state = 50; /* any seed does, as long as it stays the same */
    for (int32_t i = 1; i < graph->node_count; i++) {
        const cl_node *node = &graph->nodes[i];
        for (int which = 0; which < CL_WEIGHTS_MAX; which++) {
            const cl_weight *weight = &node->weights[which];
            const int64_t count = cl_weight_count(weight);
            if (count == 0) continue;
            bool normalises = node->op == CL_OP_BATCH_NORM || node->op == CL_OP_SCALE || node->op == CL_OP_LAYER_NORM;
            float fan_in = weight->rank > 1 ? (float)(count / weight->shape[0]) : 1.0f;
            float range = weight->rank > 1 ? sqrtf(6.0f / fan_in) : 0.1f;
            float centre = normalises && (which == CL_SCALE || which == CL_VARIANCE) ? 1.0f : 0.0f;
            for (int64_t k = 0; k < count; k++) next[k] = centre + range * next_random(&state);
            model->weights[i * CL_WEIGHTS_MAX + which] = next;
            next += count;
        }
    }
    model->parameters = total;
    return COULIS_OK;
}

static coulis_status open_file(coulis_model *model, const char *path, bool random, coulis_error *error) {
    size_t length = strlen(path);
    coulis_status status;
    if (length > 5 && strcmp(path + length - 5, ".json") == 0) {
        uint8_t *text;
        size_t size;
        if (!random)
            return cl_fail(error, COULIS_BAD_MODEL, "%s: the description of a network without its weights", path);
        status = cl_file_read(path, GRAPH_BYTES_MAX, &text, &size, error); /* ends with a NUL */
        if (status) return status;
        status = cl_graph_parse((const char *)text, path, &model->graph, error);
        cl_free(text);
    } else {
        status = cl_safetensors_open(path, COULIS_BAD_MODEL, &model->file, error);
        if (status) return status;
        const char *text = cl_safetensors_metadata(model->file, "coulis");
        if (!text)
            return cl_fail(error, COULIS_BAD_MODEL, "%s: no description of the network under 'coulis' in its metadata",
                           path);
        status = cl_graph_parse(text, path, &model->graph, error);
    }
    if (status) return status;
    size_t slots = (size_t)model->graph->node_count * CL_WEIGHTS_MAX;
    model->weights = cl_alloc_zero(slots, sizeof *model->weights);
    if (!model->weights) return cl_fail_memory(error, "the network", slots * sizeof *model->weights);
    if (!random) return take_weights(model, path, error);
    cl_safetensors_close(model->file);
    model->file = NULL;
    return draw_weights(model, path, error);
}

void coulis_model_options_init(coulis_model_options *options, size_t size) {
    const coulis_model_options defaults = {.size = sizeof defaults};
    cl_sized_init(options, size, &defaults, sizeof defaults);
}

void coulis_model_info_init(coulis_model_info *info, size_t size) {
    const coulis_model_info nothing = {.size = sizeof nothing};
    cl_sized_init(info, size, &nothing, sizeof nothing);
}

coulis_status coulis_model_open(const char *name, const coulis_model_options *options, coulis_model **out,
                                coulis_error *error) {
    if (!name || !out) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no name or no place for the model given");
    coulis_model_options wanted;
    coulis_model_options_init(&wanted, sizeof wanted);
    coulis_status status = cl_sized_read(options, "coulis_model_options", &wanted, sizeof wanted, error);
    char path[4096];
    if (!status) status = cl_model_find(name, wanted.random_weights != 0, path, sizeof path, error);
    if (status) return status;
    coulis_model *model = cl_alloc_zero(1, sizeof *model);
    if (!model) return cl_fail_memory(error, "a model", sizeof *model);
    status = open_file(model, path, wanted.random_weights != 0, error);
    if (status) {
        coulis_model_close(model);
        return status;
    }
    cl_clear(error);
    *out = model;
    return COULIS_OK;
}

void coulis_model_close(coulis_model *model) {
    if (!model) return;
    cl_graph_free(model->graph);
    cl_safetensors_close(model->file);
    cl_free(model->weights);
    cl_free(model->random);
    cl_free(model);
}

static int64_t numbers_in(const cl_graph *graph, int32_t node) {
    if (node < 0) return 0;
    const cl_node *n = &graph->nodes[node];
    return (int64_t)n->height * n->width * n->channels;
}

coulis_status coulis_model_describe(const coulis_model *model, coulis_model_info *info, coulis_error *error) {
    if (!model || !info)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "no model or no place for its description given");
    const cl_graph *graph = model->graph;
    const coulis_model_info own = {
        .size = sizeof own,
        .name = graph->name,
        .source = graph->source,
        .licence = graph->licence,
        .sha256 = cl_model_sha256(model),
        .input_width = graph->width,
        .input_height = graph->height,
        .pooled_length = numbers_in(graph, graph->features[COULIS_FEATURES_POOLED]),
        .map_length = numbers_in(graph, graph->features[COULIS_FEATURES_MAP]),
        .logits_length = numbers_in(graph, graph->features[COULIS_FEATURES_LOGITS]),
        .parameters = model->parameters,
        .multiply_adds = cl_graph_multiply_adds(graph, graph->features[graph->default_features]),
        .default_features = graph->default_features,
    };
    if (!cl_sized_write(info, &own, sizeof own))
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "coulis_model_info: not set up; call coulis_model_info_init first");
    cl_clear(error);
    return COULIS_OK;
}

int64_t coulis_model_features_length(const coulis_model *model, int32_t features) {
    return model ? numbers_in(model->graph, cl_graph_features(model->graph, features)) : 0;
}
