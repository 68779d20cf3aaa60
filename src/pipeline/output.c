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

/* A run.json is some kilobytes, its longest part the explained variance. */
#define RUN_JSON_MAX ((int64_t)256 << 20)

bool cl_path_exists(const char *path) { return access(path, F_OK) == 0; }

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

/* Removes the files in `folder` that an unfinished write left, and with `parts` the finished parts too, and the pieces
 * of unfinished ones (making.h). */
static coulis_status sweep(const char *folder, bool parts, coulis_error *error) {
    DIR *directory = opendir(folder);
    if (!directory && errno == ENOENT) return COULIS_OK;
    if (!directory) return cl_fail(error, COULIS_IO, "%s: cannot be listed: %s", folder, strerror(errno));
    coulis_status status = COULIS_OK;
    struct dirent *entry;
    while (status == COULIS_OK && (entry = readdir(directory)) != NULL) {
        const char *name = entry->d_name;
        bool ours = starts_and_ends(name, ".part-", ".parquet.tmp") ||
                    starts_and_ends(name, "..part-", ".parquet.tmp") || is_left_over(name) ||
                    (parts && (starts_and_ends(name, "part-", ".parquet") ||
                               starts_and_ends(name, ".part-", ".parquet")));
        if (ours && unlinkat(dirfd(directory), name, 0) != 0 && errno != ENOENT)
            status = cl_fail(error, COULIS_IO, "%s/%s: cannot be removed: %s", folder, name, strerror(errno));
    }
    closedir(directory);
    return status;
}

coulis_status cl_output_remove_parts(const char *folder, coulis_error *error) {
    coulis_status status = sweep(folder, true, error);
    /* What a person put into the folder stays, and so does the folder then. */
    if (status == COULIS_OK && rmdir(folder) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
        status = cl_fail(error, COULIS_IO, "%s: cannot be removed: %s", folder, strerror(errno));
    return status;
}

static coulis_status remove_file(const char *path, coulis_error *error) {
    if (unlink(path) == 0 || errno == ENOENT) return COULIS_OK;
    return cl_fail(error, COULIS_IO, "%s: cannot be removed: %s", path, strerror(errno));
}

/* Whether a folder holds nothing, or what a job leaves that was killed before its run.json had its name. */
static bool is_empty(const char *folder) {
    DIR *directory = opendir(folder);
    if (!directory) return false;
    bool empty = true;
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !is_left_over(entry->d_name))
            empty = false;
    closedir(directory);
    return empty;
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

/* Looks at the run.json that is there. */
static coulis_status compare(cl_output *output, const char *recipe, bool *resumes, coulis_error *error) {
    uint8_t *text;
    size_t size;
    coulis_status status = cl_file_read(output->run, RUN_JSON_MAX, &text, &size, error);
    if (status != COULIS_OK) return status;
    cJSON *there = cJSON_Parse((const char *)text), *mine = cJSON_Parse(recipe);
    const cJSON *theirs = cJSON_GetObjectItemCaseSensitive(there, "recipe");
    bool done = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(there, "complete"));
    *resumes = cJSON_IsObject(mine) && cJSON_IsObject(theirs) &&
               (same_recipe(mine, theirs, false) ||
                (!done && !cl_path_exists(output->pca) && same_recipe(mine, theirs, true)));
    if (*resumes && done) {
        output->complete = true;
        output->summary = cl_strdup((const char *)text);
        if (!output->summary) status = cl_fail_memory(error, "the summary", size);
    } else if (!*resumes) {
        cl_fail(error, COULIS_CONFLICT,
                "%s: holds the result of another recipe (other %s); name another folder, or start again with "
                "--overwrite",
                output->folder, difference(mine, theirs));
    }
    cJSON_Delete(there);
    cJSON_Delete(mine);
    cl_free(text);
    return status;
}

/* The run.json of a job under way: its recipe, and that it is not complete. */
static coulis_status write_begun(const cl_output *output, const char *recipe, coulis_error *error) {
    char *text = cl_format("{\n  \"complete\": false,\n  \"recipe\": %s\n}\n", recipe);
    if (!text) return cl_fail_memory(error, "the recipe", strlen(recipe));
    coulis_status status = cl_file_write(output->run, text, strlen(text), error);
    cl_free(text);
    return status;
}

static coulis_status prepare(cl_output *output, const char *recipe, bool overwrite, coulis_error *error) {
    bool resumes = false;
    coulis_status status = COULIS_OK;
    if (!overwrite && cl_path_exists(output->run)) {
        status = compare(output, recipe, &resumes, error);
        if (status != COULIS_OK || output->complete) return status;
        if (!resumes) return COULIS_CONFLICT;
    } else if (!overwrite && !is_empty(output->folder)) {
        return cl_fail(error, COULIS_CONFLICT,
                       "%s: is not empty and holds no result of coulis; name another folder, or add --overwrite, which "
                       "removes nothing but results of coulis",
                       output->folder);
    }
    const char *const parts[] = {output->features, output->reduced};
    for (int i = 0; status == COULIS_OK && i < 2; i++)
        status = resumes ? sweep(parts[i], false, error) : cl_output_remove_parts(parts[i], error);
    if (status == COULIS_OK && !resumes) status = remove_file(output->pca, error);
    if (status == COULIS_OK && !resumes) status = remove_file(output->run, error);
    if (status == COULIS_OK) status = sweep(output->folder, false, error);
    return status == COULIS_OK ? write_begun(output, recipe, error) : status;
}

coulis_status cl_output_open(const char *folder, const char *recipe, bool overwrite, cl_output *output,
                             coulis_error *error) {
    *output = (cl_output){.lock = -1};
    coulis_status status = cl_make_folders(folder, error);
    if (status != COULIS_OK) return status;
    output->folder = cl_strdup(folder);
    output->features = cl_format("%s/features", folder);
    output->reduced = cl_format("%s/reduced", folder);
    output->pca = cl_format("%s/pca.safetensors", folder);
    output->run = cl_format("%s/run.json", folder);
    output->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!output->folder || !output->features || !output->reduced || !output->pca || !output->run)
        status = cl_fail_memory(error, "a path", strlen(folder));
    else if (output->lock < 0)
        status = cl_fail(error, COULIS_IO, "%s: cannot be opened: %s", folder, strerror(errno));
    else if (flock(output->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        status = cl_fail(error, COULIS_CONFLICT, "%s: another coulis is at work in this folder", folder);
    else status = prepare(output, recipe, overwrite, error);
    if (status != COULIS_OK) cl_output_close(output);
    return status;
}

void cl_output_close(cl_output *output) {
    if (output->lock >= 0) close(output->lock); /* and with it goes the lock */
    cl_free(output->folder);
    cl_free(output->features);
    cl_free(output->reduced);
    cl_free(output->pca);
    cl_free(output->run);
    cl_free(output->summary);
    *output = (cl_output){.lock = -1};
}
