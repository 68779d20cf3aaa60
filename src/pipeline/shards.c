#include "pipeline/shards.h"

#include "base/json.h"

bool cl_shard_has(const coulis_job_options *options, int64_t part) {
    return options->shards == 0 || part % options->shards == options->shard - 1;
}

int64_t cl_shard_rows(const coulis_job_options *options, int64_t rows) {
    const int64_t each = options->rows_per_file, parts = (rows + each - 1) / each;
    int64_t made = 0;
    for (int64_t part = 0; part < parts; part++)
        if (cl_shard_has(options, part)) made += part + 1 < parts ? each : rows - part * each;
    return made;
}

char *cl_shard_recipe(const coulis_job_options *options, const char *recipe) {
    if (options->shards == 0) return cl_strdup(recipe);
    cJSON *root = cJSON_Parse(recipe);
    char *name = cl_format("%d/%d", options->shard, options->shards);
    char *text = cl_json_line(root, root && name && cJSON_AddStringToObject(root, "shard", name));
    cl_free(name);
    return text;
}

coulis_status cl_shard_count(cl_job *j, int64_t rows) {
    const coulis_job_options *options = j->options;
    if (rows == 0)
        return cl_fail(j->error, COULIS_MISSING,
                       "shard %d of %d has no images: there are fewer files of %lld rows than shards; lower "
                       "--rows-per-file, or make fewer shards",
                       options->shard, options->shards, (long long)options->rows_per_file);
    int64_t found;
    coulis_status status = cl_count_parts(&j->output.parts, CL_KIND_FEATURES, &j->summary.result, &found, j->error);
    if (!status && found != rows)
        status = cl_fail(j->error, COULIS_BAD_DATA, "%s: has %lld rows instead of %lld; start over with --overwrite",
                         j->output.features, (long long)found, (long long)rows);
    return status;
}
