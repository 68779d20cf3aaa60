/* The vector of an image that is not in a table, made as the table's were. */
#include "base/disk.h"
#include "collection/options.h"
#include "pipeline/output.h"
#include "pipeline/recipe_read.h"
#include "remote/remote.h"

/* What an address has, of no more than `max_bytes`. */
static coulis_status read_address(const char *address, const cl_remote_options *how, int64_t max_bytes, uint8_t **bytes,
                                  size_t *size, coulis_error *error) {
    cl_remote *remote = NULL;
    coulis_status status = cl_remote_create(how, &remote, error);
    if (!status) status = cl_remote_read(remote, address, max_bytes, bytes, size, NULL, error);
    cl_remote_free(remote);
    if (!status || status >= COULIS_INVALID_ARGUMENT) return status;
    const coulis_error reason = *error;
    return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: cannot be searched for: %s", address, reason.message);
}

coulis_status cl_featurize_query(const cl_collection *c, const char *path, const coulis_collection_options *options,
                                 float *vector, coulis_error *error) {
    const cl_remote_options how = cl_remote_how(options->no_sign_request, options->requester_pays);
    const bool remote = cl_remote_serves(path);
    if (!remote && !cl_path_exists(path))
        return cl_fail(error, COULIS_MISSING,
                       "%s: is neither a path in the table of %s, the number of a row, an address, nor a file", path,
                       c->folder);
    uint8_t *bytes = NULL;
    size_t size = 0;
    const char *recipe = cl_table_recipe(c->table);
    char *name = NULL;
    coulis_model *model = NULL;
    coulis_featurizer *featurizer = NULL;
    cl_featurizer_options own;
    coulis_status status = cl_featurizer_options_read(NULL, &own, error);
    if (!status) status = cl_recipe_read(recipe, c->folder, &own, &name, error);
    own.featurizer.threads = 1;
    if (!status) status = cl_recipe_open_model(recipe, c->folder, name, &model, error);
    if (!status) status = coulis_featurizer_create(model, &own.featurizer, &featurizer, error);
    if (!status && coulis_featurizer_length(featurizer) != c->vectors.cols)
        status = cl_fail(error, COULIS_CONFLICT, "%s: its vectors have %lld dimensions, those of its network %lld",
                         c->folder, (long long)c->vectors.cols, (long long)coulis_featurizer_length(featurizer));
    if (!status && remote) status = read_address(path, &how, own.image.max_bytes, &bytes, &size, error);
    if (!status) {
        const coulis_input input = {.path = path, .bytes = bytes, .byte_count = size};
        coulis_result result;
        status = coulis_featurizer_run(featurizer, &input, 1, vector, &result, error);
        if (!status && result.error.status)
            status = cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: cannot be searched for: %s", path,
                             result.error.message);
    }
    coulis_featurizer_free(featurizer);
    coulis_model_close(model);
    cl_free(bytes);
    cl_free(name);
    return status;
}
