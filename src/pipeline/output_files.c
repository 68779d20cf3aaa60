#include "pipeline/output_files.h"

#include <errno.h>
#include <stdio.h>

#include "base/files.h"
#include "base/folder.h"

coulis_status cl_path_there(const char *path, bool *there, coulis_error *error) {
    *there = cl_path_exists(path);
    if (*there || errno == ENOENT || errno == ENOTDIR) return COULIS_OK;
    return cl_fail(error, COULIS_IO, "%s: %s", path, strerror(errno));
}

coulis_status cl_refuse_existing(const char *path, coulis_error *error) {
    if (cl_path_exists(path))
        return cl_fail(error, COULIS_CONFLICT, "%s: already exists; --overwrite replaces it", path);
    return errno == ENOENT || errno == ENOTDIR ? COULIS_OK : cl_fail(error, COULIS_IO, "%s: %s", path, strerror(errno));
}

char *cl_part_path(const char *folder, int64_t number) {
    return cl_format("%s/part-%05lld.parquet", folder, (long long)number);
}

static bool starts_and_ends(const char *name, const char *start, const char *end) {
    size_t length = strlen(name), ending = strlen(end);
    return strncmp(name, start, strlen(start)) == 0 && length >= ending && strcmp(name + length - ending, end) == 0;
}

bool cl_output_is_left_over(const char *name) {
    return starts_and_ends(name, ".pca.", ".tmp") || starts_and_ends(name, ".run.", ".tmp");
}

coulis_status cl_output_sweep(const char *folder, bool pieces, coulis_error *error) {
    cl_listing *listing;
    coulis_status status = cl_listing_find(folder, &listing, error);
    for (const char *name; !status && (name = cl_next_name(listing, folder, &status, error));) {
        bool ours = starts_and_ends(name, ".part-", ".parquet.tmp") ||
                    starts_and_ends(name, "..part-", ".parquet.tmp") || cl_output_is_left_over(name) ||
                    (pieces && starts_and_ends(name, ".part-", ".parquet"));
        char *path = ours ? cl_format("%s/%s", folder, name) : NULL;
        if (ours) status = path ? cl_remove(path, error) : cl_fail_memory(error, "a path", strlen(folder));
        cl_free(path);
    }
    cl_listing_close(listing);
    return status;
}

coulis_status cl_output_remove_parts(cl_output *output, cl_kind kind, coulis_error *error) {
    const char *folder = kind == CL_KIND_FEATURES ? output->features : output->reduced;
    coulis_status status = cl_output_sweep(folder, true, error);
    for (int64_t i = 0; !status && i < output->parts.count; i++) {
        if (output->parts.records[i].kind != kind) continue;
        char *path = cl_part_path(folder, output->parts.records[i].number);
        status = path ? cl_remove(path, error) : cl_fail_memory(error, "a path", strlen(folder));
        cl_free(path);
    }
    if (status) return status;
    cl_parts_forget(&output->parts, kind);
    return cl_folder_remove_empty(folder, error);
}

coulis_status cl_output_forget_pca(cl_output *output, coulis_error *error) {
    /* Files that no line names are nobody's PCA and scores, should they come back after a loss of power. */
    bool written = false;
    for (int64_t i = 0; i < output->parts.count; i++) written |= output->parts.records[i].kind != CL_KIND_FEATURES;
    coulis_status status = cl_remove(output->pca, error);
    if (!status) status = cl_output_remove_parts(output, CL_KIND_REDUCED, error);
    cl_parts_forget(&output->parts, CL_KIND_PCA);
    return status || !written ? status : cl_flush_folder(output->folder, error);
}
