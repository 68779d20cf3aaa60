#include "pipeline/overwrite.h"

#include <stdio.h>

#include "base/files.h"

static coulis_status refuse(const char *path, coulis_error *error) {
    return cl_fail(error, COULIS_CONFLICT, "%s: is in the way, and coulis did not write it; move it elsewhere", path);
}

/* Whether a part says in its footer that coulis wrote it. */
static bool says_so(const char *path, cl_kind kind) {
    cl_part_reader *reader;
    if (cl_part_reader_open(path, kind == CL_KIND_FEATURES ? "features" : "pca", &reader, NULL) != COULIS_OK)
        return false;
    bool ours = cl_part_reader_recipe(reader) != NULL;
    cl_part_reader_close(reader);
    return ours;
}

coulis_status cl_overwrite_find(cl_output *output, cl_kind kind, coulis_error *error) {
    const char *folder = kind == CL_KIND_FEATURES ? output->features : output->reduced;
    cl_listing *listing;
    coulis_status status = cl_listing_find(folder, &listing, error);
    for (const char *file; !status && (file = cl_next_name(listing, folder, &status, error));) {
        cl_part_record record = {.kind = kind};
        cl_kind named;
        char *name = cl_format("%s/%s", kind == CL_KIND_FEATURES ? "features" : "reduced", file);
        char *path = cl_format("%s/%s", folder, file);
        if (!name || !path) status = cl_fail_memory(error, "a path", strlen(folder));
        else if (cl_part_name_read(name, &named, &record.number) && !cl_parts_find(&output->parts, kind, record.number))
            status = says_so(path, kind) ? cl_parts_add(&output->parts, &record, error) : refuse(path, error);
        cl_free(name);
        cl_free(path);
    }
    cl_listing_close(listing);
    return status;
}

static coulis_status check_pca(const cl_output *output, coulis_error *error) {
    coulis_pca *pca = NULL;
    if (cl_parts_find(&output->parts, CL_KIND_PCA, 0) || !cl_path_exists(output->pca)) return COULIS_OK;
    coulis_status status = coulis_pca_load(output->pca, &pca, NULL);
    coulis_pca_free(pca);
    return status ? refuse(output->pca, error) : COULIS_OK;
}

coulis_status cl_overwrite(cl_output *output, bool has_run, const cJSON *there, coulis_error *error) {
    if (has_run && !cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(there, "recipe")))
        return refuse(output->run, error);
    coulis_status status = cl_parts_open(output->folder, &output->parts, error);
    if (!status) status = cl_parts_add_summary(&output->parts, there, error);
    if (!status) status = cl_overwrite_find(output, CL_KIND_FEATURES, error);
    if (!status) status = cl_overwrite_find(output, CL_KIND_REDUCED, error);
    if (!status) status = check_pca(output, error);
    if (!status) status = cl_remove(output->run, error);
    if (!status) status = cl_flush_folder(output->folder, error);
    if (!status) status = cl_output_remove_parts(output, CL_KIND_FEATURES, error);
    if (!status) status = cl_output_forget_pca(output, error);
    /* Last: until now it named files that were still there. */
    if (!status) status = cl_parts_end(&output->parts, error);
    return status ? status : cl_flush_folder(output->folder, error);
}
