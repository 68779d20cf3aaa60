#include "remote/stand_in.h"

#include "base/folder.h"

coulis_status cl_check_output(const char *name, coulis_error *error) {
    if (!name) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no place for the output given");
    if (!cl_remote_has_scheme(name) || cl_remote_is_s3(name)) return COULIS_OK;
    return cl_fail(error, COULIS_INVALID_ARGUMENT,
                   "%s: '%.*s' is not served as output; name a place on this machine, or s3://BUCKET/PREFIX", name,
                   (int)(strstr(name, "://") + 3 - name), name);
}

coulis_status cl_stand_in_begin(cl_stand_in *in, const char *name, coulis_error *error) {
    char *cache = NULL;
    *in = (cl_stand_in){.name = name};
    coulis_status status = cl_folder_cache("work", &cache, error);
    if (!status) status = cl_folder_own(cache, &in->folder, error);
    if (!status) status = cl_remote_create(NULL, &in->remote, error);
    cl_free(cache);
    return status;
}

coulis_status cl_stand_in_new(cl_stand_in *in, const char *name, bool overwrite, coulis_error *error) {
    *in = (cl_stand_in){.path = name};
    coulis_status status = cl_check_output(name, error);
    if (status || !cl_remote_is_s3(name)) return status;
    const char *slash = strrchr(name, '/');
    if (slash[1] == '\0' || slash == strstr(name, "://") + 2)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: is not a file name", name);
    status = cl_stand_in_begin(in, name, error);
    if (!status && !overwrite) {
        cl_file_state state;
        status = cl_remote_state(in->remote, name, &state, error);
        if (!status) status = cl_fail(error, COULIS_CONFLICT, "%s: already exists; --overwrite replaces it", name);
        else if (status == COULIS_MISSING) status = COULIS_OK;
    }
    if (!status) {
        in->path = in->own = cl_format("%s/%s", in->folder, slash + 1);
        if (!in->own) status = cl_fail_memory(error, name, strlen(name));
    }
    return status ? cl_stand_in_end(in, status, error) : status;
}

coulis_status cl_stand_in_end(cl_stand_in *in, coulis_status status, coulis_error *error) {
    if (in->folder) {
        if (status && in->own) cl_error_rename(error, in->own, in->name);
        cl_folder_remove(in->folder, NULL);
    }
    cl_remote_free(in->remote);
    cl_free(in->folder);
    cl_free(in->own);
    *in = (cl_stand_in){0};
    return status;
}

coulis_status cl_stand_in_put(cl_stand_in *in, coulis_status status, coulis_error *error) {
    if (in->own && !status) status = cl_remote_put(in->remote, in->name, in->own, error);
    if (status > COULIS_OK && status < COULIS_INVALID_ARGUMENT && in->own && error)
        error->status = status = COULIS_IO; /* of an image these are */
    return cl_stand_in_end(in, status, error);
}
