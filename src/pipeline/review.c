#include "pipeline/review.h"

#include "pipeline/making.h"

/* Whether the images of a part are as they were when they were read. */
static coulis_status is_current(const cl_parts *parts, int64_t number, const cl_images *images, bool *good,
                                coulis_error *error) {
    int64_t image = number * images->rows_per_file;
    char *path = cl_review_path(parts, CL_KIND_FEATURES, number);
    if (!path) return cl_fail_memory(error, "a path", strlen(parts->folder));
    cl_part_reader *reader = NULL;
    coulis_status status = cl_part_reader_open(path, "features", &reader, error);
    cl_free(path);
    for (int32_t g = 0; !status && *good && g < cl_part_reader_row_groups(reader); g++) {
        const cl_row *rows;
        int64_t count;
        status = cl_part_reader_read(reader, g, 0, &rows, &count, error);
        if (status == COULIS_BAD_DATA) { /* the footer is sound, the rows are not */
            *good = false;
            status = COULIS_OK;
            break;
        }
        for (int64_t i = 0; !status && *good && i < count; i++) {
            const cl_file_state now = images->state(images->context, image++);
            *good = cl_file_state_equal(&now, &rows[i].file);
        }
    }
    cl_part_reader_close(reader);
    return status;
}

static coulis_status remove_part(const cl_parts *parts, cl_kind kind, int64_t number, coulis_error *error) {
    char *path = cl_review_path(parts, kind, number);
    if (!path) return cl_fail_memory(error, "a path", strlen(parts->folder));
    cl_file_state state;
    coulis_status status = cl_file_state_at(path, &state, error);
    const bool there = state.has_bytes;
    if (!status) status = cl_remove(path, error);
    /* Pieces that should have gone when the part was finished: of the same images as the part. */
    *strrchr(path, '/') = '\0';
    if (!status && there && kind == CL_KIND_FEATURES) status = cl_making_forget(path, number, error);
    cl_free(path);
    return status;
}

/* The number after that of the last part that is written down. */
static int64_t end_of_features(const cl_parts *parts) {
    int64_t end = 0;
    for (int64_t i = 0; i < parts->count; i++)
        if (parts->records[i].kind == CL_KIND_FEATURES) end = parts->records[i].number + 1;
    return end;
}

coulis_status cl_review_features(const cl_parts *parts, const cl_images *images, const char *recipe, int64_t *missing,
                                 coulis_error *error) {
    const int64_t per_file = images->rows_per_file;
    const int64_t end = images->count < 0 ? end_of_features(parts) : (images->count + per_file - 1) / per_file;
    coulis_status status = COULIS_OK;
    *missing = 0;
    for (int64_t part = 0; !status && part < end; part++) {
        const int64_t left = images->count - part * per_file;
        const cl_expected expected = {.recipe = recipe,
                                      .rows = images->count < 0 ? -1
                                              : left < per_file ? left
                                                                : per_file};
        bool good;
        status = cl_review_part(parts, CL_KIND_FEATURES, part, &expected, &good, NULL, error);
        if (!status && good && images->state) status = is_current(parts, part, images, &good, error);
        if (status || good) continue;
        status = remove_part(parts, CL_KIND_FEATURES, part, error);
        (*missing)++;
    }
    return status;
}

coulis_status cl_review_reduced(const cl_parts *parts, int64_t count, const char *recipe, const char *pca_sha256,
                                coulis_error *error) {
    const cl_expected expected = {.recipe = recipe, .pca_sha256 = pca_sha256, .rows = -1};
    coulis_status status = COULIS_OK;
    for (int64_t number = 0; !status && number < count; number++) {
        bool good;
        status = cl_review_part(parts, CL_KIND_REDUCED, number, &expected, &good, NULL, error);
        if (!status && !good) status = remove_part(parts, CL_KIND_REDUCED, number, error);
    }
    return status;
}

coulis_status cl_review_pca(const cl_parts *parts, bool *good, coulis_error *error) {
    const cl_part_record *record = cl_parts_find(parts, CL_KIND_PCA, 0);
    *good = false;
    char *path = cl_review_path(parts, CL_KIND_PCA, 0);
    if (!path) return cl_fail_memory(error, "a path", strlen(parts->folder));
    cl_file_state state;
    coulis_status status = cl_file_state_at(path, &state, error);
    if (!status && record && state.has_bytes && state.bytes == record->facts.bytes) {
        char sha256[CL_SHA256_TEXT];
        int64_t bytes;
        status = cl_file_sha256(path, &bytes, sha256, error);
        *good = !status && bytes == record->facts.bytes && strcmp(sha256, record->facts.sha256) == 0;
    }
    cl_free(path);
    return status;
}

coulis_status cl_review_finished(const cl_parts *parts, bool *good, coulis_error *error) {
    coulis_status status = COULIS_OK;
    *good = true;
    const cl_part_record *pca = cl_parts_find(parts, CL_KIND_PCA, 0);
    if (pca) status = cl_review_pca(parts, good, error);
    for (int64_t i = 0; !status && *good && i < parts->count; i++) {
        const cl_expected expected = {.rows = -1};
        if (parts->records[i].kind != CL_KIND_PCA)
            status = cl_review_part(parts, parts->records[i].kind, parts->records[i].number, &expected, good, NULL,
                                    error);
    }
    return status;
}
