/* coulis cluster: k-means of the vectors of a folder. */
#include "base/files.h"
#include "collection/collection.h"
#include "collection/kmeans.h"
#include "collection/options.h"
#include "pipeline/clock.h"
#include "table/sheet.h"

/* Every row of the table that has a vector: its path and label, cluster and distance. */
static coulis_status write_clusters(const cl_collection *c, const cl_kmeans *means, const char *output,
                                    coulis_error *error) {
    const char **path, **label;
    coulis_status status = cl_collection_names(c, output, &path, &label, error);
    const cl_sheet_column columns[] = {{"path", CL_SHEET_TEXT, path, 0, 0},
                                       {"cluster", CL_SHEET_INT64, means->cluster, 0, 0},
                                       {"distance", CL_SHEET_FLOAT, means->distance, 0, 0},
                                       {"label", CL_SHEET_TEXT, label, 0, 0}};
    if (!status) status = cl_sheet_write(output, columns, 4, c->vectors.rows, cl_table_recipe(c->table), error);
    cl_free(path);
    cl_free(label);
    return status;
}

static coulis_status summarize(const cl_collection *c, const cl_kmeans *means, const char *output, double seconds,
                               char **summary, coulis_error *error) {
    if (!summary) return COULIS_OK;
    cJSON *root = cJSON_CreateObject(), *sizes = root ? cJSON_AddArrayToObject(root, "sizes") : NULL;
    bool good = sizes && cJSON_AddStringToObject(root, "output", output) &&
                cJSON_AddNumberToObject(root, "images", (double)c->vectors.rows) &&
                cJSON_AddNumberToObject(root, "skipped", (double)(c->rows - c->vectors.rows)) &&
                cJSON_AddNumberToObject(root, "clusters", (double)means->k) &&
                cJSON_AddNumberToObject(root, "iterations", (double)means->iterations) &&
                cJSON_AddBoolToObject(root, "converged", means->converged) &&
                cJSON_AddNumberToObject(root, "inertia", means->inertia) &&
                cJSON_AddNumberToObject(root, "seconds", seconds);
    for (int64_t i = 0; i < means->k && good; i++)
        good = cJSON_AddItemToArray(sizes, cJSON_CreateNumber((double)means->sizes[i]));
    *summary = cl_json_indented(root, good);
    return *summary ? COULIS_OK : cl_fail_memory(error, "the summary", 0);
}

coulis_status coulis_cluster(const char *folder, const char *output, const coulis_collection_options *options,
                             char **summary, coulis_error *error) {
    const double began = cl_seconds();
    coulis_collection_options o;
    coulis_status status = cl_collection_options(options, &o, error);
    if (status) return status;
    if (!folder) return cl_fail(error, COULIS_INVALID_ARGUMENT, "cluster needs a folder of vectors");
    char *path = cl_format("%s/clusters.parquet", output ? output : folder);
    cl_collection c = {0};
    cl_kmeans means = {0};
    cl_pool *pool = NULL;
    cl_stand_in to = {0};
    status = path ? cl_stand_in_new(&to, path, true, error) : cl_fail_memory(error, folder, strlen(folder));
    if (!status) status = cl_pool_create(o.threads, &pool, error);
    if (!status) status = cl_collection_open(folder, "features", &c, error);
    if (!status) status = cl_collection_load(&c, pool, error);
    if (!status) status = cl_kmeans_fit(&c.vectors, o.k, (uint64_t)o.seed, pool, &means, error);
    if (!status && output && !to.own) status = cl_make_folders(output, error);
    if (!status) status = write_clusters(&c, &means, to.path, error);
    status = cl_stand_in_put(&to, status, error);
    if (!status) status = summarize(&c, &means, path, cl_seconds() - began, summary, error);
    cl_kmeans_free(&means);
    cl_pool_free(pool);
    cl_collection_close(&c);
    cl_free(path);
    return cl_done(status, error);
}
