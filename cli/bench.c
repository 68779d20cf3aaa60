/* coulis bench: the network alone, on images that are decoded already. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "system.h"

/* Runs batches for about `limit` seconds; gives images and seconds. */
static coulis_status run_batches(coulis_featurizer *featurizer, const coulis_model_info *info, int64_t batch,
                                 double limit, double *images, double *took, coulis_error *error) {
    size_t pixels = (size_t)info->input_width * (size_t)info->input_height * 3;
    uint8_t *rgb = malloc(pixels * (size_t)batch);
    float *values = malloc((size_t)coulis_featurizer_length(featurizer) * (size_t)batch * sizeof *values);
    if (!rgb || !values) {
        free(rgb);
        free(values);
        snprintf(error->message, sizeof error->message, "not enough memory for %lld images", (long long)batch);
        return COULIS_NO_MEMORY;
    }
    uint32_t state = 1; /* noise: what the images show makes no difference to the time */
    for (size_t i = 0; i < pixels * (size_t)batch; i++) {
        state = state * 1664525u + 1013904223u;
        rgb[i] = (uint8_t)(state >> 24);
    }
    coulis_status status = coulis_featurizer_run_pixels(featurizer, rgb, batch, values, error); /* warm up */
    const double began = cli_seconds();
    *images = 0;
    do {
        if (!status) status = coulis_featurizer_run_pixels(featurizer, rgb, batch, values, error);
        *images += (double)batch;
        *took = cli_seconds() - began;
    } while (!status && *took < limit);
    free(rgb);
    free(values);
    return status;
}

static int thread_count(int32_t threads) { return threads > 0 ? threads : coulis_core_count(); }

coulis_status cli_measure(const coulis_model *model, const coulis_featurizer_options *options, double limit,
                          double *images, double *took, coulis_error *error) {
    coulis_featurizer *featurizer = NULL;
    coulis_model_info info;
    coulis_model_info_init(&info, sizeof info);
    coulis_status status = coulis_model_describe(model, &info, error);
    if (!status) status = coulis_featurizer_create(model, options, &featurizer, error);
    /* Eight images a thread, so that waiting for the last one at the end of a batch is small. */
    if (!status)
        status = run_batches(featurizer, &info, 8 * (int64_t)thread_count(options->threads), limit, images, took,
                             error);
    coulis_featurizer_free(featurizer);
    return status;
}

int cli_bench(const cli_options *options) {
    coulis_error error;
    coulis_model *model = NULL;
    coulis_model_info info;
    coulis_model_info_init(&info, sizeof info);
    coulis_model_options how;
    coulis_model_options_init(&how, sizeof how);
    how.random_weights = options->random_weights;
    coulis_featurizer_options featurizer = options->featurizer;
    featurizer.threads = options->job.threads;
    double images = 0, took = 1;
    coulis_status status = coulis_model_open(options->job.model, &how, &model, &error);
    if (!status) status = coulis_model_describe(model, &info, &error);
    if (!status) status = cli_measure(model, &featurizer, options->seconds, &images, &took, &error);
    if (!status) {
        int threads = thread_count(options->job.threads);
        double rate = images / took, gigaflops = 2e-9 * rate * (double)info.multiply_adds;
        if (options->json)
            printf("{\"model\": \"%s\", \"random_weights\": %s, \"instruction_set\": \"%s\", \"threads\": %d, "
                   "\"pictures\": %.0f, \"seconds\": %.4f, \"images_per_second\": %.3f, \"gflops\": %.2f}\n",
                   info.name, options->random_weights ? "true" : "false", coulis_instruction_set(), threads, images,
                   took, rate, gigaflops);
        else
            printf("%s, %d thread%s, %s: %.1f images/s (%.1f GFLOP/s)\n", info.name, threads, threads == 1 ? "" : "s",
                   coulis_instruction_set(), rate, gigaflops);
    }
    coulis_model_close(model);
    return status ? cli_fail(status, &error) : EXIT_DONE;
}
