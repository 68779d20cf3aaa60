#include "pca/model.h"

#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>

#include "base/safetensors.h"

coulis_status cl_pca_alloc(int64_t count, int64_t cols, coulis_pca **pca, coulis_error *error) {
    coulis_pca *made = cl_alloc_zero(1, sizeof *made);
    if (!made) return cl_fail_memory(error, "principal components", sizeof *made);
    *made = (coulis_pca){.count = count,
                         .cols = cols,
                         .mean = cl_alloc((size_t)cols, sizeof *made->mean),
                         .variance = cl_alloc((size_t)count, sizeof *made->variance),
                         .ratio = cl_alloc((size_t)count, sizeof *made->ratio)};
    size_t elements;
    if (cl_mul_size((size_t)count, (size_t)cols, &elements))
        made->components = cl_alloc(elements, sizeof *made->components);
    if (!made->mean || !made->variance || !made->ratio || !made->components) {
        coulis_pca_free(made);
        return cl_fail(error, COULIS_NO_MEMORY, "not enough memory for %lld principal components of %lld dimensions",
                       (long long)count, (long long)cols);
    }
    *pca = made;
    return COULIS_OK;
}

void coulis_pca_free(coulis_pca *pca) {
    if (!pca) return;
    cl_free(pca->mean);
    cl_free(pca->variance);
    cl_free(pca->ratio);
    cl_free(pca->components);
    cl_free(pca->recipe);
    cl_free(pca);
}

int64_t cl_count_for_share(const double *values, int64_t count, double total, double share) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += values[i] / total;
        if (sum > share) return i + 1;
    }
    return count;
}

/* scikit-learn's rule: the element largest in absolute value, the first of equals, is positive. */
static void turn_sign(void *context, int64_t i, int32_t worker) {
    (void)worker;
    const coulis_pca *pca = context;
    float *row = pca->components + i * pca->cols;
    int64_t largest = 0;
    for (int64_t c = 1; c < pca->cols; c++)
        if (fabsf(row[c]) > fabsf(row[largest])) largest = c;
    for (int64_t c = 0; c < pca->cols && row[largest] < 0; c++)
        if (c != largest) row[c] = -row[c];
    row[largest] = fabsf(row[largest]);
}

void cl_pca_finish(cl_pool *pool, coulis_pca *pca, int64_t samples, double total) {
    double divisor = (double)(samples - 1);
    pca->samples = samples;
    pca->total_variance = total / divisor;
    for (int64_t i = 0; i < pca->count; i++) {
        pca->ratio[i] = total > 0 ? pca->variance[i] / total : 0;
        pca->variance[i] /= divisor;
    }
    cl_pool_run(pool, pca->count, turn_sign, pca);
}

int64_t coulis_pca_components_count(const coulis_pca *pca) { return pca->count; }
int64_t coulis_pca_columns(const coulis_pca *pca) { return pca->cols; }
int64_t coulis_pca_samples(const coulis_pca *pca) { return pca->samples; }
double coulis_pca_total_variance(const coulis_pca *pca) { return pca->total_variance; }
int32_t coulis_pca_solver(const coulis_pca *pca) { return pca->solver; }
double coulis_pca_error_bound(const coulis_pca *pca) { return pca->error_bound; }
const double *coulis_pca_mean(const coulis_pca *pca) { return pca->mean; }
const float *coulis_pca_components(const coulis_pca *pca) { return pca->components; }
const double *coulis_pca_explained_variance(const coulis_pca *pca) { return pca->variance; }
const double *coulis_pca_explained_variance_ratio(const coulis_pca *pca) { return pca->ratio; }

/* ---- file ------------------------------------------------------------------------------- */

/* A double as text that reads back as the same double, whatever the locale: cJSON sees to both. */
static char *print_number(double number) {
    cJSON *item = cJSON_CreateNumber(number);
    char *text = item ? cJSON_PrintUnformatted(item) : NULL;
    cJSON_Delete(item);
    return text;
}

static bool parse_number(const char *text, double *number) {
    cJSON *item = text ? cJSON_Parse(text) : NULL;
    bool good = cJSON_IsNumber(item);
    if (good) *number = item->valuedouble;
    cJSON_Delete(item);
    return good;
}

const char *coulis_pca_recipe(const coulis_pca *pca) { return pca ? pca->recipe : NULL; }

coulis_status coulis_pca_set_recipe(coulis_pca *pca, const char *recipe, coulis_error *error) {
    if (!pca) return cl_fail(error, COULIS_INVALID_ARGUMENT, "pca_set_recipe: no model given");
    cJSON *parsed = recipe ? cJSON_Parse(recipe) : NULL;
    if (recipe && !cJSON_IsObject(parsed)) {
        cJSON_Delete(parsed);
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "pca_set_recipe: the recipe is not a JSON object");
    }
    /* Printed anew, so that equal recipes give equal files however they were laid out. */
    char *printed = parsed ? cJSON_PrintUnformatted(parsed) : NULL;
    char *copy = printed ? cl_strdup(printed) : NULL;
    cJSON_free(printed);
    cJSON_Delete(parsed);
    if (recipe && !copy) return cl_fail_memory(error, "a recipe", strlen(recipe));
    cl_free(pca->recipe);
    pca->recipe = copy;
    cl_clear(error);
    return COULIS_OK;
}

static cl_tensor doubles(const char *name, int64_t count, const double *data) {
    return (cl_tensor){.name = name, .dtype = CL_F64, .rank = 1, .shape = {count}, .count = count, .data = data};
}

coulis_status cl_pca_stage(const coulis_pca *pca, const char *path, cl_new_file *file, coulis_error *error) {
    const cl_tensor tensors[] = {doubles("mean", pca->cols, pca->mean),
                                 doubles("explained_variance", pca->count, pca->variance),
                                 doubles("explained_variance_ratio", pca->count, pca->ratio),
                                 {.name = "components",
                                  .dtype = CL_F32,
                                  .rank = 2,
                                  .shape = {pca->count, pca->cols},
                                  .count = pca->count * pca->cols,
                                  .data = pca->components}};
    char *samples = print_number((double)pca->samples), *total = print_number(pca->total_variance);
    char *bound = print_number(pca->error_bound);
    const char *metadata[] = {"samples",     samples,  "total_variance",
                              total,         "solver", coulis_option_word("solver", pca->solver),
                              "error_bound", bound,    "coulis",
                              pca->recipe};
    coulis_status status;
    if (!samples || !total || !bound) status = cl_fail_memory(error, "a number", 32);
    else status = cl_safetensors_stage(path, tensors, 4, metadata, pca->recipe ? 5 : 4, file, error);
    cJSON_free(samples);
    cJSON_free(total);
    cJSON_free(bound);
    return cl_done(status, error);
}

coulis_status coulis_pca_save(const coulis_pca *pca, const char *path, coulis_error *error) {
    if (!pca || !path) return cl_fail(error, COULIS_INVALID_ARGUMENT, "pca_save needs a model and a path");
    cl_new_file file;
    coulis_status status = cl_pca_stage(pca, path, &file, error);
    return cl_done(status ? status : cl_new_file_commit(&file, error), error);
}

/* The tensor `name` of the given type and rank. */
static const cl_tensor *find(const cl_safetensors *file, const char *name, cl_dtype dtype, int32_t rank) {
    const cl_tensor *tensor = cl_safetensors_find(file, name);
    return tensor && tensor->dtype == dtype && tensor->rank == rank ? tensor : NULL;
}

static bool all_finite(const coulis_pca *pca) {
    double sum = pca->total_variance * 0;
    for (int64_t c = 0; c < pca->cols; c++) sum += pca->mean[c] * 0;
    for (int64_t i = 0; i < pca->count; i++) sum += pca->variance[i] * 0 + pca->ratio[i] * 0;
    for (int64_t i = 0; i < pca->count * pca->cols; i++) sum += (double)pca->components[i] * 0;
    return sum == 0; /* 0 times infinity and 0 times NaN are NaN */
}

static coulis_status read_model(const cl_safetensors *file, const char *path, coulis_pca **pca, coulis_error *error) {
    const cl_tensor *mean = find(file, "mean", CL_F64, 1);
    const cl_tensor *variance = find(file, "explained_variance", CL_F64, 1);
    const cl_tensor *ratio = find(file, "explained_variance_ratio", CL_F64, 1);
    const cl_tensor *components = find(file, "components", CL_F32, 2);
    double samples, total;
    if (!mean || !variance || !ratio || !components)
        return cl_fail(error, COULIS_BAD_DATA,
                       "'%s' is not a PCA file: it lacks mean, components, explained_variance or "
                       "explained_variance_ratio, or one of them has another type",
                       path);
    int64_t count = components->shape[0], cols = components->shape[1];
    if (count < 1 || cols < 1 || mean->count != cols || variance->count != count || ratio->count != count)
        return cl_fail(
            error, COULIS_BAD_DATA,
            "'%s' is not a PCA file: its %lld x %lld components, mean of %lld, variances of %lld and shares of "
            "%lld do not match",
            path, (long long)count, (long long)cols, (long long)mean->count, (long long)variance->count,
            (long long)ratio->count);
    if (!parse_number(cl_safetensors_metadata(file, "samples"), &samples) ||
        !parse_number(cl_safetensors_metadata(file, "total_variance"), &total) || !(samples >= 2 && samples < 1e15) ||
        !(total >= 0))
        return cl_fail(error, COULIS_BAD_DATA, "'%s' is not a PCA file: its metadata lacks samples or total_variance",
                       path);
    int32_t solver = COULIS_SOLVER_AUTO;
    double bound = 0;
    const char *name = cl_safetensors_metadata(file, "solver"), *limit = cl_safetensors_metadata(file, "error_bound");
    if (name || limit) { /* version 0.1.0 wrote neither */
        solver = coulis_option_number("solver", name);
        if (solver <= COULIS_SOLVER_AUTO || !parse_number(limit, &bound) || !(bound >= 0 && bound <= DBL_MAX))
            return cl_fail(error, COULIS_BAD_DATA, "'%s' is not a PCA file: its solver or error_bound is invalid",
                           path);
    }
    coulis_pca *made;
    coulis_status status = cl_pca_alloc(count, cols, &made, error);
    if (status) return status;
    made->solver = solver;
    made->error_bound = bound;
    made->samples = (int64_t)samples;
    made->total_variance = total;
    memcpy(made->mean, mean->data, (size_t)cols * sizeof *made->mean);
    memcpy(made->variance, variance->data, (size_t)count * sizeof *made->variance);
    memcpy(made->ratio, ratio->data, (size_t)count * sizeof *made->ratio);
    memcpy(made->components, components->data, (size_t)(count * cols) * sizeof *made->components);
    const char *recipe = cl_safetensors_metadata(file, "coulis");
    status = recipe ? coulis_pca_set_recipe(made, recipe, NULL) : COULIS_OK;
    if (status) {
        coulis_pca_free(made);
        return status == COULIS_NO_MEMORY
                   ? cl_fail_memory(error, "a recipe", strlen(recipe))
                   : cl_fail(error, COULIS_BAD_DATA, "'%s' is not a PCA file: its recipe is not a JSON object", path);
    }
    if (!all_finite(made)) {
        coulis_pca_free(made);
        return cl_fail(error, COULIS_BAD_DATA, "'%s' holds a number that is infinite or NaN", path);
    }
    *pca = made;
    return COULIS_OK;
}

coulis_status coulis_pca_load(const char *path, coulis_pca **pca, coulis_error *error) {
    if (!path || !pca)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "pca_load needs a path and a place for the model");
    cl_safetensors *file;
    coulis_status status = cl_safetensors_open(path, COULIS_BAD_DATA, &file, error);
    if (status) return status;
    status = read_model(file, path, pca, error);
    cl_safetensors_close(file);
    return cl_done(status, error);
}
