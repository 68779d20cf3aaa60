#include "pipeline/featurizer.h"

#include "base/threads.h"
#include "image/image.h"
#include "net/plan.h"
#include "pipeline/options.h"
#include "pipeline/recipe.h"
#include "source/location.h"

typedef struct scratch {
    float *workspace;
    uint8_t *rgb; /* CL_FEATURIZER_IMAGES decoded images, or as many texts */
} scratch;

struct coulis_featurizer {
    cl_plan *plan;
    coulis_image_options options;
    int32_t width, height;
    const cl_graph *graph; /* the model's, which outlives this */
    int32_t workers;
    scratch *scratch; /* one per worker */
    cl_pool *pool;    /* NULL when the caller brings the threads */
    char *recipe;
    cl_remote *remote; /* connections for what is not on this machine */
};

coulis_status cl_settle_resize(const coulis_model *model, coulis_image_options *image, coulis_error *error) {
    const cl_graph *graph = cl_model_graph(model);
    if (image->resize == COULIS_RESIZE_AUTO)
        image->resize = graph->has_resize && graph->resize_default ? COULIS_RESIZE_PUBLISHED : COULIS_RESIZE_SQUASH;
    if (image->resize != COULIS_RESIZE_PUBLISHED) return COULIS_OK;
    if (!graph->has_resize)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "model '%.80s' does not say how its publisher resizes images: "
                       "use squash or crop",
                       graph->name);
    image->filter = graph->filter;
    image->resize_width = graph->resize_width;
    image->resize_height = graph->resize_height;
    image->center = graph->center;
    return COULIS_OK;
}

coulis_status cl_reads_images(const cl_graph *graph, coulis_error *error) {
    if (graph->vocabulary == 0) return COULIS_OK;
    return cl_fail(error, COULIS_INVALID_ARGUMENT, "model '%.80s' reads texts, not images", graph->name);
}

/* Names the features that there are. */
static coulis_status no_features(const cl_graph *graph, int32_t features, coulis_error *error) {
    char known[128] = ""; /* seven words of at most 12 letters */
    for (int32_t kind = 0; kind < COULIS_FEATURES_DEFAULT; kind++) {
        if (graph->features[kind] < 0) continue;
        strcat(known, *known ? ", " : "");
        strcat(known, coulis_option_word("features", kind));
    }
    return cl_fail(error, COULIS_INVALID_ARGUMENT, "model '%.80s' has no %s; it has: %s", graph->name,
                   coulis_option_word("features", features), known);
}

coulis_status cl_featurizer_create(const coulis_model *model, const coulis_featurizer_options *options, int32_t workers,
                                   coulis_featurizer **out, coulis_error *error) {
    const cl_graph *graph = cl_model_graph(model);
    const int32_t node = cl_graph_features(graph, options->features);
    if (node < 0) return no_features(graph, options->features, error);
    coulis_featurizer *f = cl_alloc_zero(1, sizeof *f);
    if (!f) return cl_fail_memory(error, "a featurizer", sizeof *f);
    f->options = *options->image;
    f->width = graph->width;
    f->height = graph->height;
    f->graph = graph;
    f->workers = workers;
    coulis_status status = cl_settle_resize(model, &f->options, error);
    if (!status) status = cl_plan_create(model, node, options->precision, &f->plan, error);
    if (!status) {
        f->scratch = cl_alloc_zero((size_t)workers, sizeof *f->scratch);
        if (!f->scratch) status = cl_fail_memory(error, "a featurizer", (size_t)workers * sizeof *f->scratch);
    }
    for (int32_t w = 0; !status && w < workers; w++) {
        size_t count = (size_t)f->plan->workspace_count, pixels = (size_t)f->width * (size_t)f->height;
        f->scratch[w].workspace = cl_alloc(count, sizeof(float));
        f->scratch[w].rgb = cl_alloc(pixels, 3 * CL_FEATURIZER_IMAGES);
        if (!f->scratch[w].workspace || !f->scratch[w].rgb)
            status = cl_fail_memory(error, "the network's workspace",
                                    count * sizeof(float) + pixels * 3 * CL_FEATURIZER_IMAGES);
    }
    coulis_model_info info;
    coulis_model_info_init(&info, sizeof info);
    if (!status) status = coulis_model_describe(model, &info, error);
    coulis_featurizer_options settled = *options;
    settled.image = &f->options;
    if (!status && !(f->recipe = cl_recipe_vectors(&settled, &info, f->plan->length)))
        status = cl_fail_memory(error, "the recipe", 0);
    if (status) {
        coulis_featurizer_free(f);
        return status;
    }
    *out = f;
    return COULIS_OK;
}

coulis_status coulis_featurizer_create(const coulis_model *model, const coulis_featurizer_options *options,
                                       coulis_featurizer **out, coulis_error *error) {
    if (!model || !out) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no model or no place for the featurizer given");
    cl_featurizer_options own;
    cl_pool *pool;
    coulis_status status = cl_featurizer_options_read(options, &own, error);
    if (!status) status = cl_pool_create(own.featurizer.threads, &pool, error);
    if (status) return status;
    coulis_featurizer *featurizer;
    status = cl_featurizer_create(model, &own.featurizer, cl_pool_threads(pool), &featurizer, error);
    if (status) {
        cl_pool_free(pool);
        return status;
    }
    featurizer->pool = pool;
    const cl_remote_options how = cl_remote_how(own.featurizer.no_sign_request, own.featurizer.requester_pays);
    status = cl_remote_create(&how, &featurizer->remote, error);
    if (status) {
        coulis_featurizer_free(featurizer);
        return status;
    }
    *out = featurizer;
    cl_clear(error);
    return COULIS_OK;
}

void coulis_featurizer_free(coulis_featurizer *featurizer) {
    if (!featurizer) return;
    for (int32_t w = 0; featurizer->scratch && w < featurizer->workers; w++) {
        cl_free(featurizer->scratch[w].workspace);
        cl_free(featurizer->scratch[w].rgb);
    }
    cl_free(featurizer->scratch);
    cl_plan_free(featurizer->plan);
    cl_pool_free(featurizer->pool);
    cl_remote_free(featurizer->remote);
    cl_free(featurizer->recipe);
    cl_free(featurizer);
}

const char *coulis_featurizer_recipe(const coulis_featurizer *featurizer) {
    return featurizer ? featurizer->recipe : NULL;
}

int64_t coulis_featurizer_length(const coulis_featurizer *featurizer) {
    return featurizer ? featurizer->plan->length : 0;
}

/* The pixels of one image as the network wants them. */
static coulis_status prepare(const coulis_featurizer *f, const cl_featurizer_image *image, uint8_t *rgb) {
    coulis_result *result = image->result;
    if (image->pixels)
        return cl_image_from_pixels(image->name, image->pixels, &f->options, f->width, f->height, rgb, &result->width,
                                    &result->height, &result->error);
    return cl_image_decode(image->name, image->bytes, image->size, &f->options, f->width, f->height, rgb,
                           &result->width, &result->height, &result->error);
}

void cl_featurizer_some(coulis_featurizer *f, int32_t worker, const cl_featurizer_image *images, int32_t count) {
    const scratch *own = &f->scratch[worker];
    const size_t size = (size_t)f->width * (size_t)f->height * 3;
    const uint8_t *rgb[CL_FEATURIZER_IMAGES];
    float *values[CL_FEATURIZER_IMAGES];
    int32_t good = 0;
    for (int32_t i = 0; i < count; i++) {
        coulis_result *result = images[i].result;
        uint8_t *decoded = own->rgb + (size_t)good * size;
        result->width = result->height = 0;
        cl_clear(&result->error);
        if (prepare(f, &images[i], decoded) != COULIS_OK) {
            memset(images[i].values, 0, (size_t)f->plan->length * sizeof(float));
            continue;
        }
        rgb[good] = decoded;
        values[good++] = images[i].values;
    }
    if (good > 0) cl_plan_run(f->plan, good, rgb, own->workspace, values);
}

typedef struct batch {
    coulis_featurizer *featurizer;
    const coulis_input *inputs;
    const coulis_pixels *images;
    const uint8_t *pixels;
    const int32_t *tokens;
    float *values;
    coulis_result *results;
    int64_t count, together; /* images, and how many of them make a piece of work */
} batch;

/* As many images together as still leave work for every thread. */
static int64_t pieces_of(batch *b) {
    int64_t workers = b->featurizer->workers;
    b->together = (b->count + workers - 1) / workers;
    if (b->together > CL_FEATURIZER_IMAGES) b->together = CL_FEATURIZER_IMAGES;
    if (b->together < 1) b->together = 1;
    return (b->count + b->together - 1) / b->together;
}

static int64_t end_of(const batch *b, int64_t piece) {
    int64_t end = (piece + 1) * b->together;
    return end < b->count ? end : b->count;
}

static void run_inputs(void *context, int64_t piece, int32_t worker) {
    const batch *b = context;
    coulis_featurizer *f = b->featurizer;
    cl_featurizer_image images[CL_FEATURIZER_IMAGES] = {{0}};
    uint8_t *owned[CL_FEATURIZER_IMAGES] = {NULL};
    int32_t count = 0;
    for (int64_t i = piece * b->together; i < end_of(b, piece); i++) {
        const coulis_input *input = &b->inputs[i];
        cl_featurizer_image *image = &images[count];
        *image = (cl_featurizer_image){.name = input->path,
                                       .bytes = input->bytes,
                                       .size = input->byte_count,
                                       .values = b->values + i * f->plan->length,
                                       .result = &b->results[i]};
        owned[count] = NULL;
        *image->result = (coulis_result){0};
        if (!input->bytes && input->path) {
            if (cl_location_read(f->remote, input->path, f->options.max_bytes, &owned[count], &image->size, NULL,
                                 &image->result->error) != COULIS_OK) {
                memset(image->values, 0, (size_t)f->plan->length * sizeof(float));
                continue;
            }
            image->bytes = owned[count];
        }
        count++;
    }
    cl_featurizer_some(f, worker, images, count);
    for (int32_t i = 0; i < count; i++) cl_free(owned[i]);
}

static void run_images(void *context, int64_t piece, int32_t worker) {
    const batch *b = context;
    cl_featurizer_image images[CL_FEATURIZER_IMAGES] = {{0}};
    int32_t count = 0;
    for (int64_t i = piece * b->together; i < end_of(b, piece); i++) {
        b->results[i] = (coulis_result){0};
        images[count++] = (cl_featurizer_image){.pixels = &b->images[i],
                                                .result = &b->results[i],
                                                .values = b->values + i * b->featurizer->plan->length};
    }
    cl_featurizer_some(b->featurizer, worker, images, count);
}

static coulis_status run_batch(batch *b, void (*work)(void *context, int64_t piece, int32_t worker),
                               coulis_error *error) {
    cl_pool_run(b->featurizer->pool, pieces_of(b), work, b);
    /* Running out of memory says nothing about the image: it must not become a row. */
    for (int64_t i = 0; i < b->count; i++)
        if (b->results[i].error.status >= COULIS_INVALID_ARGUMENT)
            return cl_fail(error, (coulis_status)b->results[i].error.status, "%s", b->results[i].error.message);
    cl_clear(error);
    return COULIS_OK;
}

coulis_status coulis_featurizer_run(coulis_featurizer *featurizer, const coulis_input *inputs, int64_t count,
                                    float *values, coulis_result *results, coulis_error *error) {
    if (!featurizer || count < 0 || (count > 0 && (!inputs || !values || !results)))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "no featurizer, inputs, values or results given");
    coulis_status status = cl_reads_images(featurizer->graph, error);
    if (status) return status;
    batch b = {.featurizer = featurizer, .inputs = inputs, .values = values, .results = results, .count = count};
    return run_batch(&b, run_inputs, error);
}

coulis_status coulis_featurizer_run_images(coulis_featurizer *featurizer, const coulis_pixels *images, int64_t count,
                                           float *values, coulis_result *results, coulis_error *error) {
    if (!featurizer || count < 0 || (count > 0 && (!images || !values || !results)))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "no featurizer, images, values or results given");
    coulis_status status = cl_reads_images(featurizer->graph, error);
    if (status) return status;
    batch b = {.featurizer = featurizer, .images = images, .values = values, .results = results, .count = count};
    return run_batch(&b, run_images, error);
}

static void run_pixels(void *context, int64_t piece, int32_t worker) {
    const batch *b = context;
    const coulis_featurizer *f = b->featurizer;
    const uint8_t *rgb[CL_FEATURIZER_IMAGES];
    float *values[CL_FEATURIZER_IMAGES];
    int32_t count = 0;
    for (int64_t i = piece * b->together; i < end_of(b, piece); i++, count++) {
        rgb[count] = b->pixels + i * f->width * f->height * 3;
        values[count] = b->values + i * f->plan->length;
    }
    cl_plan_run(f->plan, count, rgb, f->scratch[worker].workspace, values);
}

coulis_status coulis_featurizer_run_pixels(coulis_featurizer *featurizer, const uint8_t *pixels, int64_t count,
                                           float *values, coulis_error *error) {
    if (!featurizer || count < 0 || (count > 0 && (!pixels || !values)))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "no featurizer, pixels or values given");
    coulis_status status = cl_reads_images(featurizer->graph, error);
    if (status) return status;
    batch b = {.featurizer = featurizer, .pixels = pixels, .values = values, .count = count};
    cl_pool_run(featurizer->pool, pieces_of(&b), run_pixels, &b);
    cl_clear(error);
    return COULIS_OK;
}

static void run_tokens(void *context, int64_t piece, int32_t worker) {
    const batch *b = context;
    const coulis_featurizer *f = b->featurizer;
    const uint8_t *texts[CL_FEATURIZER_IMAGES];
    float *values[CL_FEATURIZER_IMAGES];
    uint8_t *bytes = f->scratch[worker].rgb;
    int32_t count = 0;
    for (int64_t i = piece * b->together; i < end_of(b, piece); i++, count++) {
        texts[count] = bytes;
        values[count] = b->values + i * f->plan->length;
        for (int32_t k = 0; k < f->height; k++, bytes += 3)
            for (int byte = 0; byte < 3; byte++)
                bytes[byte] = (uint8_t)(b->tokens[i * f->height + k] >> (8 * byte) & 0xFF);
    }
    cl_plan_run(f->plan, count, texts, f->scratch[worker].workspace, values);
}

coulis_status coulis_featurizer_run_tokens(coulis_featurizer *featurizer, const int32_t *tokens, int64_t count,
                                           float *values, coulis_error *error) {
    if (!featurizer || count < 0 || (count > 0 && (!tokens || !values)))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "no featurizer, tokens or values given");
    const cl_graph *graph = featurizer->graph;
    if (graph->vocabulary == 0)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "model '%.80s' reads images, not texts", graph->name);
    for (int64_t i = 0; i < count * featurizer->height; i++)
        if (tokens[i] < 0 || tokens[i] >= graph->vocabulary)
            return cl_fail(error, COULIS_INVALID_ARGUMENT, "token %d of text %lld is not from 0 to %d", tokens[i],
                           (long long)(i / featurizer->height), graph->vocabulary - 1);
    batch b = {.featurizer = featurizer, .tokens = tokens, .values = values, .count = count};
    cl_pool_run(featurizer->pool, pieces_of(&b), run_tokens, &b);
    cl_clear(error);
    return COULIS_OK;
}
