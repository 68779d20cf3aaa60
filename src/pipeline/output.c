#include "pipeline/output.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "base/text.h"
#include "pipeline/overwrite.h"
#include "pipeline/review.h"

/* A run.json is some kilobytes, its longest part the explained variance. */
#define RUN_JSON_MAX ((int64_t)256 << 20)

bool cl_path_exists(const char *path) { return access(path, F_OK) == 0; }

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

/* Of a write to the folder itself that was not finished. */
static bool is_left_over(const char *name) {
    return starts_and_ends(name, ".pca.", ".tmp") || starts_and_ends(name, ".run.", ".tmp");
}

coulis_status cl_output_sweep(const char *folder, bool pieces, coulis_error *error) {
    DIR *directory = opendir(folder);
    if (!directory && errno == ENOENT) return COULIS_OK;
    if (!directory) return cl_fail(error, COULIS_IO, "%s: cannot be listed: %s", folder, strerror(errno));
    coulis_status status = COULIS_OK;
    struct dirent *entry;
    while (!status && (entry = cl_next_name(directory, folder, &status, error))) {
        const char *name = entry->d_name;
        bool ours = starts_and_ends(name, ".part-", ".parquet.tmp") ||
                    starts_and_ends(name, "..part-", ".parquet.tmp") || is_left_over(name) ||
                    (pieces && starts_and_ends(name, ".part-", ".parquet"));
        if (ours && unlinkat(dirfd(directory), name, 0) != 0 && errno != ENOENT)
            status = cl_fail(error, COULIS_IO, "%s/%s: cannot be removed: %s", folder, name, strerror(errno));
    }
    closedir(directory);
    return status;
}

coulis_status cl_output_remove_parts(cl_output *output, cl_kind kind, coulis_error *error) {
    const char *folder = kind == CL_KIND_FEATURES ? output->features : output->reduced;
    coulis_status status = cl_output_sweep(folder, true, error);
    for (int64_t i = 0; status == COULIS_OK && i < output->parts.count; i++) {
        if (output->parts.records[i].kind != kind) continue;
        char *path = cl_part_path(folder, output->parts.records[i].number);
        status = path ? cl_remove(path, error) : cl_fail_memory(error, "a path", strlen(folder));
        cl_free(path);
    }
    if (status != COULIS_OK) return status;
    cl_parts_forget(&output->parts, kind);
    /* What a person put into the folder stays, and so does the folder then. */
    if (rmdir(folder) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
        return cl_fail(error, COULIS_IO, "%s: cannot be removed: %s", folder, strerror(errno));
    return COULIS_OK;
}

coulis_status cl_output_forget_pca(cl_output *output, coulis_error *error) {
    coulis_status status = cl_remove(output->pca, error);
    if (status == COULIS_OK) status = cl_output_remove_parts(output, CL_KIND_REDUCED, error);
    cl_parts_forget(&output->parts, CL_KIND_PCA);
    return status == COULIS_OK ? cl_flush_folder(output->folder, error) : status;
}

/* Whether a folder holds nothing, or what a job leaves that was killed before its run.json had its name. */
static coulis_status is_empty(const char *folder, bool *empty, coulis_error *error) {
    DIR *directory = opendir(folder);
    if (!directory) return cl_fail(error, COULIS_IO, "%s: cannot be listed: %s", folder, strerror(errno));
    coulis_status status = COULIS_OK;
    *empty = true;
    for (struct dirent *entry; !status && (entry = cl_next_name(directory, folder, &status, error));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !is_left_over(entry->d_name))
            *empty = false;
    closedir(directory);
    return status;
}

/* Whether two recipes are the same, `components` aside when `but_components`. */
static bool same_recipe(const cJSON *one, const cJSON *other, bool but_components) {
    if (!but_components) return cJSON_Compare(one, other, 1);
    cJSON *a = cJSON_Duplicate(one, 1), *b = cJSON_Duplicate(other, 1);
    cJSON_DeleteItemFromObjectCaseSensitive(a, "components");
    cJSON_DeleteItemFromObjectCaseSensitive(b, "components");
    bool same = a && b && cJSON_Compare(a, b, 1);
    cJSON_Delete(a);
    cJSON_Delete(b);
    return same;
}

/* The first entry in which two recipes differ, for the message. */
static const char *difference(const cJSON *mine, const cJSON *theirs) {
    for (const cJSON *item = mine ? mine->child : NULL; item; item = item->next)
        if (!cJSON_Compare(item, cJSON_GetObjectItemCaseSensitive(theirs, item->string), 1)) return item->string;
    /* An option that only some recipes name; those of the PCA, which stand last, tell one kind of job from another. */
    for (const cJSON *item = theirs ? theirs->child : NULL; item; item = item->next)
        if (!cJSON_HasObjectItem(mine, item->string) && strcmp(item->string, "components") != 0 &&
            strcmp(item->string, "pca_sha256") != 0) return item->string;
    return "kind of job";
}

/* The content of run.json; NULL in *there when it has none or is no JSON. */
static coulis_status read_run(const cl_output *output, cJSON **there, char **text, coulis_error *error) {
    uint8_t *bytes;
    size_t size;
    *there = NULL;
    *text = NULL;
    coulis_status status = cl_file_read(output->run, RUN_JSON_MAX, &bytes, &size, error);
    if (status == COULIS_MISSING) return COULIS_OK;
    if (status != COULIS_OK) return status;
    *text = (char *)bytes;
    *there = cJSON_Parse(*text);
    return COULIS_OK;
}

/* Whether the inputs' relative paths refer to the same folder as in the run.json that is there. */
static bool same_root(const cl_output *output, const cJSON *there) {
    const char *root = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(there, "root"));
    return root ? output->root && strcmp(root, output->root) == 0 : !output->root;
}

static coulis_status refuse(const cl_output *output, const cJSON *there, const cJSON *mine, coulis_error *error) {
    const cJSON *theirs = cJSON_GetObjectItemCaseSensitive(there, "recipe");
    if (same_recipe(mine, theirs, true) && !same_root(output, there)) {
        const char *root = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(there, "root"));
        return cl_fail(error, COULIS_CONFLICT,
                       "%s: its relative paths refer to the folder '%s'; run the command there, name another folder "
                       "for the result, or start again with --overwrite", output->folder, root ? root : "/");
    }
    return cl_fail(error, COULIS_CONFLICT,
                   "%s: holds the result of another recipe (other %s); name another folder, or start again with "
                   "--overwrite",
                   output->folder, difference(mine, theirs));
}

/* Looks at the run.json that is there: may this job go on, and is it done? */
static coulis_status compare(cl_output *output, const cJSON *there, const char *recipe, bool *done,
                             coulis_error *error) {
    cJSON *mine = cJSON_Parse(recipe);
    const cJSON *theirs = cJSON_GetObjectItemCaseSensitive(there, "recipe");
    *done = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(there, "complete"));
    bool resumes = cJSON_IsObject(mine) && cJSON_IsObject(theirs) && same_root(output, there) &&
                   (same_recipe(mine, theirs, false) ||
                    (!*done && !cl_path_exists(output->pca) && same_recipe(mine, theirs, true)));
    coulis_status status = resumes ? COULIS_OK : refuse(output, there, mine, error);
    cJSON_Delete(mine);
    return status;
}

/* The run.json of a job under way: its recipe, and that it is not complete. */
static coulis_status write_begun(const cl_output *output, const char *recipe, coulis_error *error) {
    cJSON *root = cJSON_CreateObject();
    bool good = root && cJSON_AddBoolToObject(root, "complete", 0) && cJSON_AddRawToObject(root, "recipe", recipe) &&
                (!output->root || cJSON_AddStringToObject(root, "root", output->root));
    char *printed = good ? cJSON_Print(root) : NULL;
    char *text = printed ? cl_format("%s\n", printed) : NULL;
    cJSON_free(printed);
    cJSON_Delete(root);
    if (!text) return cl_fail_memory(error, "the recipe", strlen(recipe));
    coulis_status status = cl_file_write(output->run, text, strlen(text), error);
    cl_free(text);
    return status;
}

/* A job that says it is done: all its files must be there. What is sound of one where they are not is written down as
 * that of a job under way, so that only the rest is made again. */
static coulis_status take_finished(cl_output *output, const cJSON *there, coulis_error *error) {
    cl_parts_close(&output->parts);
    coulis_status status = cl_parts_open(output->folder, &output->parts, error);
    if (status == COULIS_OK) status = cl_parts_end(&output->parts, error); /* a journal that was to be removed */
    while (output->parts.count > 0) cl_parts_forget(&output->parts, output->parts.records[0].kind);
    if (status == COULIS_OK) status = cl_parts_add_summary(&output->parts, there, error);
    if (status == COULIS_OK) status = cl_review_finished(&output->parts, &output->complete, error);
    for (int64_t i = 0; status == COULIS_OK && !output->complete && i < output->parts.count; i++) {
        const cl_part_record record = output->parts.records[i];
        status = cl_parts_promise(&output->parts, &record, error);
    }
    return status;
}

/* Settles what becomes of the files that are there. */
static coulis_status prepare(cl_output *output, const cJSON *there, bool has_run, const char *recipe, bool overwrite,
                             coulis_error *error) {
    coulis_status status = COULIS_OK;
    bool done = false;
    if (overwrite) {
        status = cl_overwrite(output, has_run, there, error);
    } else if (has_run) {
        status = compare(output, there, recipe, &done, error);
        if (status == COULIS_OK && done) status = take_finished(output, there, error);
        else if (status == COULIS_OK) status = cl_parts_open(output->folder, &output->parts, error);
        if (status != COULIS_OK || output->complete) return status;
    } else {
        bool empty = false;
        status = is_empty(output->folder, &empty, error);
        if (status != COULIS_OK) return status;
        if (!empty)
            return cl_fail(error, COULIS_CONFLICT,
                           "%s: is not empty and holds no result of coulis; name another folder, or add --overwrite, "
                           "which removes nothing but results of coulis",
                           output->folder);
        status = cl_parts_open(output->folder, &output->parts, error);
    }
    const char *const folders[] = {output->features, output->reduced, output->folder};
    for (int i = 0; status == COULIS_OK && i < 3; i++) status = cl_output_sweep(folders[i], false, error);
    return status == COULIS_OK ? write_begun(output, recipe, error) : status;
}

static coulis_status lock(cl_output *output, coulis_error *error) {
    output->lock = open(output->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (output->lock < 0)
        return cl_fail(error, COULIS_IO, "%s: cannot be opened: %s", output->folder, strerror(errno));
    if (flock(output->lock, LOCK_EX | LOCK_NB) == 0) return COULIS_OK;
    if (errno == EWOULDBLOCK)
        return cl_fail(error, COULIS_CONFLICT, "%s: another coulis is at work in this folder", output->folder);
    return cl_fail(error, COULIS_IO, "%s: cannot be locked: %s", output->folder, strerror(errno));
}

coulis_status cl_output_open(const char *folder, const char *recipe, const char *root, bool overwrite,
                             cl_output *output, coulis_error *error) {
    *output = (cl_output){.lock = -1, .parts = {.descriptor = -1}};
    coulis_status status = cl_make_folders(folder, error);
    if (status != COULIS_OK) return status;
    output->folder = cl_strdup(folder);
    output->features = cl_format("%s/features", folder);
    output->reduced = cl_format("%s/reduced", folder);
    output->pca = cl_format("%s/pca.safetensors", folder);
    output->run = cl_format("%s/run.json", folder);
    output->root = root ? cl_utf8_copy(root) : NULL;
    cJSON *there = NULL;
    char *text = NULL;
    if (!output->folder || !output->features || !output->reduced || !output->pca || !output->run ||
        (root && !output->root))
        status = cl_fail_memory(error, "a path", strlen(folder));
    else status = lock(output, error);
    if (status == COULIS_OK) status = read_run(output, &there, &text, error);
    if (status == COULIS_OK) status = prepare(output, there, text != NULL, recipe, overwrite, error);
    cJSON_Delete(there);
    if (status == COULIS_OK && output->complete) output->summary = text;
    else cl_free(text);
    if (status != COULIS_OK) cl_output_close(output);
    return status;
}

coulis_status cl_output_finish(cl_output *output, const char *summary, coulis_error *error) {
    coulis_status status = cl_file_write(output->run, summary, strlen(summary), error);
    return status == COULIS_OK ? cl_parts_end(&output->parts, error) : status;
}

void cl_output_close(cl_output *output) {
    if (output->lock >= 0) close(output->lock); /* and with it goes the lock */
    cl_parts_close(&output->parts);
    cl_free(output->folder);
    cl_free(output->features);
    cl_free(output->reduced);
    cl_free(output->pca);
    cl_free(output->run);
    cl_free(output->summary);
    cl_free(output->root);
    *output = (cl_output){.lock = -1, .parts = {.descriptor = -1}};
}
