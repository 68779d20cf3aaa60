/* coulis export: vectors as other programs read them. */
#include <math.h>

#include "collection/collection.h"
#include "collection/options.h"
#include "table/npy.h"
#include "table/sheet.h"

/* Rows that have a vector, their path and label. */
static coulis_status write_sheet(const cl_collection *c, const char *output, const char *column, const uint16_t *halves,
                                 int32_t fixed, coulis_error *error) {
    const char **path, **label;
    coulis_status status = cl_collection_names(c, output, &path, &label, error);
    const cl_sheet_column columns[] = {
        {"path", CL_SHEET_TEXT, path, 0, 0},
        {"label", CL_SHEET_TEXT, label, 0, 0},
        {column, halves ? CL_SHEET_HALVES : CL_SHEET_VECTOR, halves ? (const void *)halves : c->x, c->vectors.cols,
         fixed},
    };
    if (!status) status = cl_sheet_write(output, columns, 3, c->vectors.rows, cl_table_recipe(c->table), error);
    cl_free(path);
    cl_free(label);
    return status;
}

/* Divides vectors by their lengths, in place, a part at a time. */
static void normalize(cl_collection *c) {
    for (int64_t i = 0; i < c->vectors.rows; i++) cl_unit_rows(&c->vectors, i, 1, c->x + i * c->vectors.cols);
}

static coulis_status summarize(const cl_collection *c, const char *output, const coulis_collection_options *o,
                               char **summary, coulis_error *error) {
    if (!summary) return COULIS_OK;
    cJSON *root = cJSON_CreateObject();
    const bool good = root && cJSON_AddStringToObject(root, "output", output) &&
                      cJSON_AddStringToObject(root, "what", o->what ? "pca" : "features") &&
                      cJSON_AddNumberToObject(root, "rows", (double)c->vectors.rows) &&
                      cJSON_AddNumberToObject(root, "dimensions", (double)c->vectors.cols) &&
                      cJSON_AddNumberToObject(root, "skipped", (double)(c->rows - c->vectors.rows)) &&
                      cJSON_AddStringToObject(root, "dtype", o->dtype ? "float16" : "float32") &&
                      cJSON_AddBoolToObject(root, "normalized", o->normalize);
    *summary = cl_json_indented(root, good);
    return *summary ? COULIS_OK : cl_fail_memory(error, "the summary", 0);
}

coulis_status coulis_export(const char *folder, const char *output, const coulis_collection_options *options,
                            char **summary, coulis_error *error) {
    coulis_collection_options o;
    coulis_status status = cl_collection_options(options, &o, error);
    if (status) return status;
    if (!folder || !output)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "export needs a folder of vectors and a file to write");
    const bool npy = cl_sheet_ends_in(output, ".npy");
    if (!npy && !cl_sheet_ends_in(output, ".csv") && !cl_sheet_ends_in(output, ".parquet"))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: the name must end in .npy, .csv or .parquet", output);
    if (o.fixed_size && !cl_sheet_ends_in(output, ".parquet"))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: lists of a fixed size are for .parquet alone", output);
    const char *column = o.what ? "pca" : "features";
    cl_collection c = {0};
    cl_pool *pool = NULL;
    uint16_t *halves = NULL;
    cl_stand_in to;
    status = cl_stand_in_new(&to, output, true, error);
    if (!status) status = cl_pool_create(o.threads, &pool, error);
    if (!status) status = cl_collection_open(folder, column, &c, error);
    if (!status) status = cl_collection_load(&c, pool, error);
    if (!status && o.normalize) normalize(&c);
    if (!status && o.dtype) {
        const size_t numbers = (size_t)(c.vectors.rows * c.vectors.cols);
        halves = cl_alloc(numbers, sizeof *halves);
        if (!halves) status = cl_fail_memory(error, output, numbers * sizeof *halves);
        for (size_t i = 0; i < numbers && !status; i++) {
            halves[i] = cl_half(c.x[i]);
            if ((halves[i] & 0x7fff) == 0x7c00)
                status = cl_fail(error, COULIS_NUMERIC,
                                 "%s: %g does not fit float16, whose limit is 65504 (use float32, or normalize)",
                                 c.items[c.row_of[i / (size_t)c.vectors.cols]].path, (double)c.x[i]);
        }
    }
    if (!status)
        status = npy ? cl_npy_write(to.path, c.x, halves, c.vectors.rows, c.vectors.cols, error)
                     : write_sheet(&c, to.path, column, halves, o.fixed_size, error);
    status = cl_stand_in_put(&to, status, error);
    if (!status) status = summarize(&c, output, &o, summary, error);
    cl_free(halves);
    cl_pool_free(pool);
    cl_collection_close(&c);
    return cl_done(status, error);
}
