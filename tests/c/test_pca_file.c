/* Principal components as a file: what is saved is loaded, and nothing else is. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/safetensors.h"
#include "pca.h"
#include "test.h"

static char folder[] = "/tmp/coulis-test-XXXXXX";

static void saves_and_loads(void) {
    char path[128], again[128];
    snprintf(path, sizeof path, "%s/a.safetensors", folder);
    snprintf(again, sizeof again, "%s/b.safetensors", folder);
    float *x = cl_alloc(50, 300 * sizeof *x);
    uint32_t state = 1;
    for (int64_t i = 0; i < 50 * 300; i++) x[i] = (float)((state = state * 1664525u + 1013904223u) >> 8);
    coulis_pca *pca = NULL, *loaded = NULL;
    coulis_error error = {0};
    CHECK(fit(x, 50, 300, 0.9, 1, &pca, &error) == COULIS_OK);
    CHECK(coulis_pca_save(pca, path, &error) == COULIS_OK);
    CHECK(coulis_pca_load(path, &loaded, &error) == COULIS_OK);
    if (pca && loaded) {
        int64_t count = coulis_pca_components_count(pca);
        CHECK(coulis_pca_components_count(loaded) == count && coulis_pca_columns(loaded) == 300);
        CHECK(coulis_pca_samples(loaded) == 50);
        CHECK(coulis_pca_solver(loaded) == COULIS_SOLVER_GRAM && coulis_pca_error_bound(loaded) == 0);
        CHECK(coulis_pca_total_variance(loaded) == coulis_pca_total_variance(pca));
        CHECK(!memcmp(coulis_pca_components(pca), coulis_pca_components(loaded), (size_t)(count * 300) * 4));
        CHECK(!memcmp(coulis_pca_mean(pca), coulis_pca_mean(loaded), 300 * 8));
        CHECK(!memcmp(coulis_pca_explained_variance(pca), coulis_pca_explained_variance(loaded), (size_t)count * 8));
        CHECK(!memcmp(coulis_pca_explained_variance_ratio(pca), coulis_pca_explained_variance_ratio(loaded),
                      (size_t)count * 8));
        CHECK(coulis_pca_save(loaded, again, &error) == COULIS_OK);
        cl_safetensors *one = NULL, *two = NULL;
        CHECK(cl_safetensors_open(path, COULIS_BAD_DATA, &one, &error) == COULIS_OK);
        CHECK(cl_safetensors_open(again, COULIS_BAD_DATA, &two, &error) == COULIS_OK);
        if (one && two) CHECK(!strcmp(cl_safetensors_sha256(one), cl_safetensors_sha256(two)));
        cl_safetensors_close(one);
        cl_safetensors_close(two);
    }
    CHECK(coulis_pca_save(pca, "/nowhere/at all", &error) == COULIS_IO);
    coulis_pca_free(pca);
    coulis_pca_free(loaded);
    cl_free(x);
}

static void refuses_false_files(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/c.safetensors", folder);
    static const double numbers[] = {1, 0.5, NAN, 2};
    static const float floats[] = {1, 0, 0, 1, INFINITY};
    const cl_tensor good[4] = {
        {.name = "mean", .dtype = CL_F64, .rank = 1, .shape = {2}, .count = 2, .data = numbers},
        {.name = "explained_variance", .dtype = CL_F64, .rank = 1, .shape = {2}, .count = 2, .data = numbers},
        {.name = "explained_variance_ratio", .dtype = CL_F64, .rank = 1, .shape = {2}, .count = 2, .data = numbers},
        {.name = "components", .dtype = CL_F32, .rank = 2, .shape = {2, 2}, .count = 4, .data = floats}};
    const char *metadata[] = {"samples", "5", "total_variance", "1.5", "solver", "randomized", "error_bound", "0.25"};
    for (int fault = 0; fault <= 14; fault++) {
        cl_tensor tensors[4];
        const char *told[8];
        memcpy(tensors, good, sizeof good);
        memcpy(told, metadata, sizeof metadata);
        int32_t count = 4;
        if (fault == 1) count = 3;
        if (fault == 2) tensors[0].shape[0] = tensors[0].count = 1;
        if (fault == 3) tensors[1].shape[0] = tensors[1].count = 3;
        if (fault == 4) tensors[1].data = numbers + 1;
        if (fault == 5) tensors[3].data = floats + 1;
        if (fault == 6) tensors[3].rank = 1, tensors[3].shape[0] = 4;
        if (fault == 7) told[1] = "many";
        if (fault == 8) told[3] = "-1";
        if (fault == 9) told[1] = "1";
        if (fault == 10) told[0] = "sample";
        if (fault == 11) told[5] = "auto";
        if (fault == 12) told[7] = "-1";
        if (fault == 13) told[6] = "bound";
        if (fault == 14) told[7] = "1e999";
        coulis_error error = {0};
        coulis_pca *pca = NULL;
        CHECK(cl_safetensors_write(path, tensors, count, told, 4, &error) == COULIS_OK);
        CHECK_MSG(coulis_pca_load(path, &pca, &error) == (fault ? COULIS_BAD_DATA : COULIS_OK), "fault %d: %s", fault,
                  error.message);
        CHECK(!fault || strstr(error.message, path));
        if (pca) CHECK(coulis_pca_solver(pca) == COULIS_SOLVER_RANDOMIZED && coulis_pca_error_bound(pca) == 0.25);
        coulis_pca_free(pca);
    }
    coulis_error error = {0};
    coulis_pca *pca = NULL;
    CHECK(coulis_pca_load("/nowhere/at all", &pca, &error) == COULIS_MISSING);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    if (!mkdtemp(folder)) return 1;
    RUN(saves_and_loads);
    RUN(refuses_false_files);
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) || test_finish();
}
