#include "pipeline/fetched.h"

#include "base/disk.h"
#include "pipeline/parts.h"

typedef struct fetching {
    cl_stand_in *in;
    char *address; /* without slashes at its end */
    size_t below;  /* bytes of a key up to what is below it */
    int64_t files;
} fetching;

static bool ends_in(const char *text, const char *end) {
    const size_t length = strlen(text), ending = strlen(end);
    return length >= ending && strcmp(text + length - ending, end) == 0;
}

/* Whether a name below the address is that of a file of results. */
static bool is_wanted(const char *name) {
    cl_kind kind;
    int64_t number;
    if (cl_part_name_read(name, &kind, &number)) return true;
    return !strchr(name, '/') && (ends_in(name, ".json") || ends_in(name, ".parquet"));
}

static coulis_status copy(cl_remote *remote, const char *from, const char *to, coulis_error *error) {
    cl_new_file file;
    coulis_status status = cl_new_file_begin(&file, to, error);
    if (!status) {
        status = cl_remote_copy(remote, from, &file, error);
        if (!status) status = cl_new_file_commit(&file, error);
        else cl_new_file_abort(&file);
    }
    return status;
}

static coulis_status take(void *context, const cl_remote_object *object, coulis_error *error) {
    fetching *f = context;
    const char *name = object->key + f->below;
    if (!is_wanted(name)) return COULIS_OK;
    char *from = cl_format("%s/%s", f->address, name), *to = cl_format("%s/%s", f->in->own, name);
    coulis_status status = from && to ? COULIS_OK : cl_fail_memory(error, object->key, strlen(object->key));
    if (!status && strchr(name, '/')) {
        char *slash = strrchr(to, '/');
        *slash = '\0';
        status = cl_make_folders(to, error);
        *slash = '/';
    }
    if (!status) status = copy(f->in->remote, from, to, error);
    f->files++;
    cl_free(from);
    cl_free(to);
    return status;
}

static coulis_status fetch(const char *name, fetching *f, coulis_error *error) {
    size_t length = strlen(name);
    while (length > 0 && name[length - 1] == '/') length--;
    f->address = cl_format("%.*s", (int)length, name);
    char *folder = f->address ? cl_format("%s/", f->address) : NULL;
    f->in->path = f->in->own = cl_format("%s/result", f->in->folder);
    if (!folder || !f->in->own) {
        cl_free(folder);
        return cl_fail_memory(error, name, length);
    }
    const char *bucket = strstr(f->address, "://"), *slash = bucket ? strchr(bucket + 3, '/') : NULL;
    f->below = slash ? strlen(slash) : 0; /* the slash at its end for the one that is not part of a key */
    coulis_status status = cl_make_folders(f->in->own, error);
    if (!status) status = cl_remote_list(f->in->remote, folder, 0, take, f, error);
    if (!status && f->files == 0) status = cl_fail(error, COULIS_MISSING, "%s: not found", name);
    cl_free(folder);
    return status;
}

coulis_status cl_fetch_result(const char *name, cl_stand_in *in, coulis_error *error) {
    *in = (cl_stand_in){.path = name};
    if (!name || !cl_remote_is_s3(name)) return COULIS_OK;
    fetching f = {.in = in};
    coulis_status status = cl_stand_in_begin(in, name, error);
    if (!status) status = fetch(name, &f, error);
    cl_free(f.address);
    return status;
}

/* In a folder of this machine, what is named there. */
static coulis_status here(const char *name, cl_stand_in *in, coulis_error *error) {
    cl_about about;
    *in = (cl_stand_in){.path = name};
    if (!name || !cl_look(name, &about) || about.kind != CL_PATH_FOLDER) return COULIS_OK;
    in->path = in->own = cl_format("%s/pca.safetensors", name);
    return in->own ? COULIS_OK : cl_fail_memory(error, name, strlen(name));
}

coulis_status cl_fetch_pca(const char *name, cl_stand_in *in, coulis_error *error) {
    if (!name || !cl_remote_is_s3(name)) return here(name, in, error);
    const bool file = ends_in(name, ".safetensors");
    size_t length = strlen(name);
    while (length > 0 && name[length - 1] == '/') length--;
    coulis_status status = cl_stand_in_begin(in, name, error);
    if (status) return status;
    char *from = file ? cl_strdup(name) : cl_format("%.*s/pca.safetensors", (int)length, name);
    in->path = in->own = cl_format("%s/pca.safetensors", in->folder);
    if (from && in->own) status = copy(in->remote, from, in->own, error);
    else status = cl_fail_memory(error, name, length);
    cl_free(from);
    return status;
}
