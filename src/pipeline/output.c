#include "pipeline/output.h"

#include <cjson/cJSON.h>
#include <errno.h>

#include "base/files.h"
#include "base/folder.h"
#include "pipeline/overwrite.h"
#include "pipeline/recipe.h"
#include "pipeline/replace.h"
#include "pipeline/review.h"

/* A run.json is some kilobytes, its longest part the explained variance. */
#define RUN_JSON_MAX ((int64_t)256 << 20)

/* Whether a folder holds nothing, or what a job leaves that was killed before its run.json had its name. */
static coulis_status is_empty(const char *folder, bool *empty, coulis_error *error) {
    cl_listing *listing = cl_listing_open(folder);
    if (!listing) return cl_fail(error, COULIS_IO, "%s: cannot be listed: %s", folder, strerror(errno));
    coulis_status status = COULIS_OK;
    *empty = true;
    for (const char *name; !status && (name = cl_next_name(listing, folder, &status, error));)
        if (!cl_output_is_left_over(name)) *empty = false;
    cl_listing_close(listing);
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

/* What of a recipe says which images they are. */
static const char *const of_images[] = {"pictures", "paths_sha256"};

static bool is_of_images(const char *name) {
    return strcmp(name, of_images[0]) == 0 || strcmp(name, of_images[1]) == 0;
}

/* The first entry in which two recipes differ, for the message; other images are none where the result may grow. */
static const char *difference(const cJSON *mine, const cJSON *theirs, bool grow) {
    for (const cJSON *item = mine ? mine->child : NULL; item; item = item->next)
        if (!(grow && is_of_images(item->string)) &&
            !cJSON_Compare(item, cJSON_GetObjectItemCaseSensitive(theirs, item->string), 1))
            return item->string;
    /* An option that only some recipes name; those of the PCA, which stand last, tell one kind of job from another. */
    for (const cJSON *item = theirs ? theirs->child : NULL; item; item = item->next)
        if (!cJSON_HasObjectItem(mine, item->string) && !(grow && is_of_images(item->string)) &&
            strcmp(item->string, "components") != 0 && strcmp(item->string, "pca_sha256") != 0)
            return item->string;
    return "kind of job";
}

/* The content of run.json; NULL in *there when it has none or is not JSON. */
static coulis_status read_run(const cl_output *output, cJSON **there, char **text, coulis_error *error) {
    uint8_t *bytes;
    size_t size;
    *there = NULL;
    *text = NULL;
    coulis_status status = cl_file_read(output->run, RUN_JSON_MAX, &bytes, &size, error);
    if (status == COULIS_MISSING) return COULIS_OK;
    if (status) return status;
    *text = (char *)bytes;
    *there = cJSON_Parse(*text);
    return COULIS_OK;
}

/* Whether the inputs' relative paths refer to the same folder as in the run.json that is there. */
static bool same_root(const cl_output *output, const cJSON *there) {
    const char *root = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(there, "root"));
    return root ? output->root && strcmp(root, output->root) == 0 : !output->root;
}

/* Whether two recipes differ in nothing but the images and whether an earlier PCA is kept. */
static bool same_but_images(const cJSON *one, const cJSON *other, bool but_components) {
    static const char *const of_kept[] = {"pca_sha256", "pca"};
    cJSON *both[] = {cJSON_Duplicate(one, 1), cJSON_Duplicate(other, 1)};
    for (int i = 0; i < 2; i++) {
        const bool kept = cJSON_HasObjectItem(both[i], "pca");
        for (int n = 0; n < 2; n++) {
            cJSON_DeleteItemFromObjectCaseSensitive(both[i], of_images[n]);
            if (kept) cJSON_DeleteItemFromObjectCaseSensitive(both[i], of_kept[n]);
        }
    }
    bool same = both[0] && both[1] && same_recipe(both[0], both[1], but_components);
    cJSON_Delete(both[0]);
    cJSON_Delete(both[1]);
    return same;
}

static coulis_status refuse(const cl_output *output, const cJSON *there, const cJSON *mine, bool grow,
                            coulis_error *error) {
    const cJSON *theirs = cJSON_GetObjectItemCaseSensitive(there, "recipe");
    if ((grow ? same_but_images(mine, theirs, true) : same_recipe(mine, theirs, true)) && !same_root(output, there)) {
        const char *root = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(there, "root"));
        return cl_fail(error, COULIS_CONFLICT,
                       "%s: its relative paths refer to the folder '%s'; run the command there, name another folder "
                       "for the result, or start again with --overwrite",
                       output->folder, root ? root : "/");
    }
    return cl_fail(error, COULIS_CONFLICT,
                   "%s: holds the result of another recipe (other %s); name another folder, or start again with "
                   "--overwrite",
                   output->folder, difference(mine, theirs, grow));
}

static bool same_entry(const cJSON *one, const cJSON *other, const char *name) {
    const cJSON *a = cJSON_GetObjectItemCaseSensitive(one, name), *b = cJSON_GetObjectItemCaseSensitive(other, name);
    return (!a && !b) || cJSON_Compare(a, b, 1);
}

/* Looks at the run.json that is there: may this job go on, and is it done? */
static coulis_status compare(cl_output *output, const cJSON *there, const cl_output_wish *wish, bool *done,
                             coulis_error *error) {
    cJSON *mine = cJSON_Parse(wish->recipe);
    const cJSON *theirs = cJSON_GetObjectItemCaseSensitive(there, "recipe");
    *done = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(there, "complete"));
    const bool no_pca = !*done && !cl_path_exists(output->pca);
    const bool comparable = cJSON_IsObject(mine) && cJSON_IsObject(theirs) && same_root(output, there);
    bool resumes = comparable && same_recipe(mine, theirs, no_pca);
    output->unfinished = !*done;
    output->same_images = same_entry(mine, theirs, "pictures") && same_entry(mine, theirs, "paths_sha256");
    output->grows = !resumes && comparable && wish->grow && same_but_images(mine, theirs, no_pca);
    coulis_status status = resumes || output->grows ? COULIS_OK : refuse(output, there, mine, wish->grow, error);
    if (!status) {
        output->earlier = cl_recipe_of_table(theirs);
        if (!output->earlier) status = cl_fail_memory(error, "the recipe", 0);
    }
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
 * that of a job under way, so that only the rest is made again; with `reopen` all of it. */
static coulis_status take_finished(cl_output *output, const cJSON *there, bool reopen, coulis_error *error) {
    cl_parts_close(&output->parts);
    coulis_status status = cl_parts_open(output->folder, &output->parts, error);
    if (!status) status = cl_parts_end(&output->parts, error); /* a journal that was to be removed */
    while (output->parts.count > 0) cl_parts_forget(&output->parts, output->parts.records[0].kind);
    if (!status) status = cl_parts_add_summary(&output->parts, there, error);
    if (!status && !reopen) status = cl_review_finished(&output->parts, &output->complete, error);
    for (int64_t i = 0; !status && !output->complete && i < output->parts.count; i++) {
        const cl_part_record record = output->parts.records[i];
        status = cl_parts_promise(&output->parts, &record, error);
    }
    return status;
}

/* The records of a result, which stand in its summary or, of an unfinished one, in its journal. */
static coulis_status take_records(cl_output *output, const cJSON *there, coulis_error *error) {
    coulis_status status = cl_parts_open(output->folder, &output->parts, error);
    if (!status && !output->unfinished) {
        while (output->parts.count > 0) cl_parts_forget(&output->parts, output->parts.records[0].kind);
        status = cl_parts_add_summary(&output->parts, there, error);
    }
    return status;
}

/* Settles what becomes of the files that are there. */
static coulis_status prepare(cl_output *output, const cJSON *there, bool has_run, const cl_output_wish *wish,
                             coulis_error *error) {
    coulis_status status = COULIS_OK;
    bool done = false;
    if (wish->overwrite) {
        status = cl_overwrite(output, has_run, there, error);
        if (!status) status = cl_next_remove(output->folder, error);
    } else if (has_run) {
        status = compare(output, there, wish, &done, error);
        if (!status && output->grows) return take_records(output, there, error);
        /* One that lists its parts came to its end, even if somebody has written into it since that it did not. */
        const bool ended = cJSON_HasObjectItem(there, "parts");
        if (!status && (done || ended)) status = take_finished(output, there, wish->reopen || !done, error);
        else if (!status) status = cl_parts_open(output->folder, &output->parts, error);
        if (status || output->complete) return status;
        status = cl_next_remove(output->folder, error); /* of other images, which this job is not about */
    } else {
        bool empty = false;
        status = is_empty(output->folder, &empty, error);
        if (status) return status;
        if (!empty)
            return cl_fail(error, COULIS_CONFLICT,
                           "%s: is not empty and holds no result of coulis; name another folder, or add --overwrite, "
                           "which removes nothing but results of coulis",
                           output->folder);
        status = cl_parts_open(output->folder, &output->parts, error);
    }
    const char *const folders[] = {output->features, output->reduced, output->folder};
    for (int i = 0; !status && i < 3; i++) status = cl_output_sweep(folders[i], false, error);
    return status ? status : write_begun(output, wish->recipe, error);
}

/* The paths in the folder. */
static coulis_status name_files(const char *folder, const char *root, cl_output *output, coulis_error *error) {
    *output = (cl_output){.lock = -1, .parts = {.descriptor = -1}};
    output->folder = cl_strdup(folder);
    output->features = cl_format("%s/features", folder);
    output->reduced = cl_format("%s/reduced", folder);
    output->pca = cl_format("%s/pca.safetensors", folder);
    output->run = cl_format("%s/run.json", folder);
    output->root = root ? cl_utf8_copy(root) : NULL;
    if (output->folder && output->features && output->reduced && output->pca && output->run && (!root || output->root))
        return COULIS_OK;
    return cl_fail_memory(error, "a path", strlen(folder));
}

/* The content of run.json, once a replacement that was interrupted is ended. Where the new result is not there any
 * more, what there is of it goes on as an unfinished job. */
static coulis_status read_settled(const cl_output *output, cJSON **there, char **text, coulis_error *error) {
    coulis_status status = read_run(output, there, text, error);
    if (status || !cl_is_replacing(*there)) return status;
    status = cl_replace(output->folder, error);
    if (status == COULIS_MISSING) return COULIS_OK;
    cJSON_Delete(*there);
    cl_free(*text);
    *there = NULL;
    *text = NULL;
    return status ? status : read_run(output, there, text, error);
}

coulis_status cl_output_settle(const char *folder, coulis_error *error) {
    cl_output output;
    bool there = false;
    coulis_status status = name_files(folder, NULL, &output, error);
    if (!status) status = cl_path_there(folder, &there, error);
    if (!status && there) {
        cJSON *run = NULL;
        char *text = NULL;
        status = cl_folder_lock(output.folder, &output.lock, error);
        if (!status) status = read_settled(&output, &run, &text, error);
        cJSON_Delete(run);
        cl_free(text);
    }
    cl_output_close(&output);
    return status;
}

coulis_status cl_output_open(const char *folder, const cl_output_wish *wish, cl_output *output, coulis_error *error) {
    coulis_status status = name_files(folder, wish->root, output, error);
    if (!status) status = cl_make_folders(folder, error);
    cJSON *there = NULL;
    char *text = NULL;
    if (!status) status = cl_folder_lock(output->folder, &output->lock, error);
    if (!status && wish->overwrite) status = read_run(output, &there, &text, error);
    else if (!status) status = read_settled(output, &there, &text, error);
    if (!status) status = prepare(output, there, text != NULL, wish, error);
    cJSON_Delete(there);
    if (!status && (output->complete || (output->grows && !output->unfinished))) output->summary = text;
    else cl_free(text);
    if (status) cl_output_close(output);
    return status;
}

coulis_status cl_output_look(const char *folder, const cl_output_wish *wish, cl_output *output, coulis_error *error) {
    coulis_status status = name_files(folder, wish->root, output, error);
    cJSON *there = NULL;
    char *text = NULL;
    bool done, has_run = false;
    if (!status) status = cl_path_there(output->run, &has_run, error);
    if (!status && has_run) {
        status = cl_folder_lock(output->folder, &output->lock, error);
        if (!status) status = read_run(output, &there, &text, error);
        if (!status && cl_is_replacing(there))
            status = cl_fail(error, COULIS_CONFLICT,
                             "%s: a result was about to be replaced when its job was interrupted; run the command "
                             "without --dry-run, which ends that",
                             folder);
        if (!status) status = compare(output, there, wish, &done, error);
        if (!status) status = take_records(output, there, error);
    }
    cJSON_Delete(there);
    cl_free(text);
    if (status) cl_output_close(output);
    return status;
}

coulis_status cl_output_finish(cl_output *output, const char *summary, coulis_error *error) {
    coulis_status status = COULIS_OK;
    /* The names that were not flushed one by one (parts.h): run.json says that they are there. */
    if (cl_parts_find(&output->parts, CL_KIND_REDUCED, 0)) status = cl_flush_folder(output->reduced, error);
    if (!status && cl_parts_find(&output->parts, CL_KIND_PCA, 0)) status = cl_flush_folder(output->folder, error);
    if (!status) status = cl_file_write(output->run, summary, strlen(summary), error);
    return status ? status : cl_parts_end(&output->parts, error);
}

void cl_output_close(cl_output *output) {
    cl_folder_unlock(&output->lock);
    cl_parts_close(&output->parts);
    cl_free(output->folder);
    cl_free(output->features);
    cl_free(output->reduced);
    cl_free(output->pca);
    cl_free(output->run);
    cl_free(output->summary);
    cl_free(output->root);
    cl_free(output->earlier);
    *output = (cl_output){.lock = -1, .parts = {.descriptor = -1}};
}
