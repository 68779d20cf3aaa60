#include "pipeline/replace.h"

#include <errno.h>
#include <stdio.h>

#include "base/files.h"
#include "base/folder.h"
#include "pipeline/output_files.h"
#include "pipeline/summary.h"

#define RUN_JSON_MAX ((int64_t)256 << 20)

static const char *const kinds[] = {"features", "reduced"};

typedef struct replacing {
    const char *folder;
    char *next, *text; /* the folder of the new result, and its run.json */
    cJSON *run;
    cl_parts parts; /* what it has */
    coulis_error *error;
} replacing;

char *cl_next_folder(const char *folder) { return cl_format("%s/.next", folder); }

bool cl_is_replacing(const cJSON *run) { return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(run, "replacing")); }

static coulis_status no_memory(const replacing *r) { return cl_fail_memory(r->error, "a path", strlen(r->folder)); }

/* The run.json of the new result. What is not as it was written, or cannot be parsed for lack of memory, is no
 * result; that there is none must not be taken for it. */
static coulis_status read_next(replacing *r, bool *there) {
    char *path = cl_format("%s/run.json", r->next);
    uint8_t *bytes = NULL;
    size_t size;
    if (!path) return no_memory(r);
    coulis_status status = cl_file_read(path, RUN_JSON_MAX, &bytes, &size, r->error);
    *there = !status;
    r->text = (char *)bytes;
    if (*there) {
        r->run = cJSON_Parse(r->text);
        if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(r->run, "complete")) || !cl_summary_is_sound(r->run))
            status = cl_fail(r->error, COULIS_BAD_DATA,
                             "%s: cannot be read, or is damaged; rerun the command, or start over with --overwrite",
                             path);
    }
    cl_free(path);
    return status;
}

/* What is written before anything is moved. */
static coulis_status write_replacing(const replacing *r) {
    const char *root = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(r->run, "root"));
    cJSON *run = cJSON_CreateObject(), *recipe = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(r->run, "recipe"), 1);
    bool good = run && cJSON_AddBoolToObject(run, "complete", 0) && cJSON_AddBoolToObject(run, "replacing", 1);
    if (good && recipe && cJSON_AddItemToObject(run, "recipe", recipe)) recipe = NULL;
    else good = false;
    cJSON_Delete(recipe);
    good = good && (!root || cJSON_AddStringToObject(run, "root", root));
    char *printed = good ? cJSON_Print(run) : NULL, *path = cl_format("%s/run.json", r->folder);
    char *text = printed ? cl_format("%s\n", printed) : NULL;
    coulis_status status = path && text ? cl_file_write(path, text, strlen(text), r->error)
                                        : cl_fail_memory(r->error, "run.json", 0);
    cJSON_free(printed);
    cJSON_Delete(run);
    cl_free(path);
    cl_free(text);
    return status;
}

/* Gives the file `from` the name `to` as well, in place of what has it; where a disk knows no second names, instead of
 * its own. */
static coulis_status give_name(const char *from, const char *temporary, const char *to, coulis_error *error) {
    coulis_status status = cl_remove(temporary, error);
    if (status) return status;
    bool linked = cl_link(from, temporary);
    if (!linked && errno == ENOENT && cl_path_exists(to)) return COULIS_OK; /* moved, before this was interrupted */
    if (!linked && (errno == ENOENT || errno == EIO || errno == EROFS || cl_of_the_machine(errno)))
        return cl_fail(error, COULIS_IO, "%s: cannot be moved into place: %s", from, strerror(errno));
    if (rename(linked ? temporary : from, to) != 0)
        return cl_fail(error, COULIS_IO, "%s: cannot be moved into place: %s", from, strerror(errno));
    /* rename does nothing where both are names of one file already. */
    return linked ? cl_remove(temporary, error) : COULIS_OK;
}

static coulis_status place_file(const replacing *r, const cl_part_record *record) {
    char name[CL_PART_NAME];
    cl_part_name(record->kind, record->number, name);
    char *from = cl_format("%s/%s", r->next, name), *to = cl_format("%s/%s", r->folder, name);
    const char *slash = strchr(name, '/');
    /* Such names are swept when they are left behind. */
    char *temporary = slash ? cl_format("%s/%.*s/.%s.tmp", r->folder, (int)(slash - name), name, slash + 1)
                            : cl_format("%s/.%s.tmp", r->folder, name);
    coulis_status status = from && to && temporary ? give_name(from, temporary, to, r->error) : no_memory(r);
    cl_free(from);
    cl_free(to);
    cl_free(temporary);
    return status;
}

/* Removes what the old result has and the new one has not. */
static coulis_status remove_others(const replacing *r, cl_kind kind) {
    char *folder = cl_format("%s/%s", r->folder, kinds[kind]);
    if (!folder) return no_memory(r);
    cl_listing *listing = NULL;
    coulis_status status = cl_output_sweep(folder, true, r->error);
    if (!status) status = cl_listing_find(folder, &listing, r->error);
    for (const char *file; !status && (file = cl_next_name(listing, folder, &status, r->error));) {
        cl_kind named;
        int64_t number;
        char *name = cl_format("%s/%s", kinds[kind], file);
        char *path = cl_format("%s/%s", folder, file);
        if (!name || !path) status = no_memory(r);
        else if (cl_part_name_read(name, &named, &number) && !cl_parts_find(&r->parts, kind, number))
            status = cl_remove(path, r->error);
        cl_free(name);
        cl_free(path);
    }
    cl_listing_close(listing);
    if (listing && !status) status = cl_flush_folder(folder, r->error);
    if (!status) status = cl_folder_remove_empty(folder, r->error);
    cl_free(folder);
    return status;
}

static coulis_status remove_rest(const replacing *r) {
    char *pca = cl_format("%s/pca.safetensors", r->folder), *journal = cl_format("%s/.parts.jsonl", r->folder);
    coulis_status status = pca && journal ? COULIS_OK : no_memory(r);
    for (cl_kind kind = CL_KIND_FEATURES; !status && kind <= CL_KIND_REDUCED; kind++) status = remove_others(r, kind);
    if (!status && !cl_parts_find(&r->parts, CL_KIND_PCA, 0)) status = cl_remove(pca, r->error);
    if (!status) status = cl_remove(journal, r->error);
    cl_free(pca);
    cl_free(journal);
    return status ? status : cl_flush_folder(r->folder, r->error);
}

static coulis_status place_files(const replacing *r) {
    coulis_status status = COULIS_OK;
    for (cl_kind kind = CL_KIND_FEATURES; !status && kind <= CL_KIND_REDUCED; kind++) {
        if (!cl_parts_find(&r->parts, kind, 0)) continue;
        char *folder = cl_format("%s/%s", r->folder, kinds[kind]);
        status = folder ? cl_make_folders(folder, r->error) : no_memory(r);
        cl_free(folder);
    }
    for (int64_t i = 0; !status && i < r->parts.count; i++) status = place_file(r, &r->parts.records[i]);
    return status ? status : remove_rest(r);
}

static coulis_status replace(replacing *r) {
    bool there;
    coulis_status status = read_next(r, &there);
    if (status) return status;
    if (!(r->parts.folder = cl_strdup(r->folder))) return no_memory(r);
    status = cl_parts_add_summary(&r->parts, r->run, r->error);
    if (!status) status = write_replacing(r);
    if (!status) status = place_files(r);
    if (status) return status;
    char *run = cl_format("%s/run.json", r->folder);
    status = run ? cl_file_write(run, r->text, strlen(r->text), r->error) : no_memory(r);
    cl_free(run);
    return status ? status : cl_next_remove(r->folder, r->error);
}

coulis_status cl_replace(const char *folder, coulis_error *error) {
    replacing r = {.folder = folder, .next = cl_next_folder(folder), .parts = {.descriptor = -1}, .error = error};
    coulis_status status = r.next ? replace(&r) : no_memory(&r);
    cl_parts_close(&r.parts);
    cJSON_Delete(r.run);
    cl_free(r.text);
    cl_free(r.next);
    return status;
}

/* Removes the parts of a kind, and the pieces. */
static coulis_status remove_kind(const replacing *r, cl_kind kind) {
    const replacing next = {.folder = r->next, .parts = {.descriptor = -1}, .error = r->error};
    return remove_others(&next, kind);
}

coulis_status cl_next_remove(const char *folder, coulis_error *error) {
    static const char *const files[] = {"run.json", "pca.safetensors", ".parts.jsonl"};
    replacing r = {.folder = folder, .next = cl_next_folder(folder), .error = error};
    if (!r.next) return no_memory(&r);
    bool there = false;
    coulis_status status = cl_path_there(r.next, &there, error);
    for (int i = 0; there && !status && i < 3; i++) {
        char *path = cl_format("%s/%s", r.next, files[i]);
        status = path ? cl_remove(path, error) : no_memory(&r);
        cl_free(path);
        /* First and for good, so that nothing takes the rest for a result. */
        if (!status && i == 0) status = cl_flush_folder(r.next, error);
    }
    for (cl_kind kind = CL_KIND_FEATURES; there && !status && kind <= CL_KIND_REDUCED; kind++)
        status = remove_kind(&r, kind);
    if (there && !status) status = cl_output_sweep(r.next, false, error);
    if (there && !status) status = cl_folder_remove_empty(r.next, error);
    cl_free(r.next);
    return there && !status ? cl_flush_folder(folder, error) : status;
}
