/* A bucket of S3, or what is below a name in it. */
#include "source/inputs.h"

typedef struct listing {
    cl_inputs *inputs;
    const char *bucket; /* "s3://bucket/", with the scheme as it was given */
    size_t below;       /* bytes of a key up to what is below the PATH */
    const char *output; /* a place to pass over; NULL: none */
} listing;

/* Whether an object is one of the output. */
static bool is_below(const listing *l, const char *key) {
    const char *output = strstr(l->output, "://") + 3, *bucket = strstr(l->bucket, "://") + 3;
    size_t length = strlen(output);
    while (length > 0 && output[length - 1] == '/') length--;
    const size_t name = strlen(bucket); /* with its slash */
    return length > name && strncmp(output, bucket, name) == 0 && strncmp(output + name, key, length - name) == 0 &&
           key[length - name] == '/';
}

static coulis_status take(void *context, const cl_remote_object *object, coulis_error *error) {
    const listing *l = context;
    const coulis_source_options *options = &l->inputs->options;
    const char *below = object->key + l->below;
    if (!*below || below[strlen(below) - 1] == '/') return COULIS_OK; /* stands for a folder */
    if (l->output && is_below(l, object->key)) return COULIS_OK;
    cl_verdict verdict = cl_choose_names(options, below);
    if (verdict == CL_TAKE && cl_choose_file(options, below) != CL_TAKE) verdict = CL_EXCLUDED;
    if (verdict != CL_TAKE) {
        l->inputs->left_out[verdict]++;
        return COULIS_OK;
    }
    const cl_entry entry = {.bytes = object->bytes,
                            .modified = object->modified == INT64_MIN ? CL_NO_TIME : object->modified,
                            .argument = l->inputs->argument_count - 1};
    char *name = cl_format("%s%s", l->bucket, object->key);
    if (!name) return cl_fail_memory(error, object->key, strlen(object->key));
    coulis_status status = cl_list_append(&l->inputs->list, name, strlen(name), NULL, entry, error);
    cl_free(name);
    return status;
}

/* `path` without slashes at its end; where the key begins is put into *key. */
static char *trim(const char *path, size_t *key) {
    size_t length = strlen(path);
    const char *bucket = strstr(path, "://") + 3;
    while (path + length > bucket && path[length - 1] == '/') length--;
    char *root = cl_format("%.*s", (int)length, path);
    if (root) *key = (size_t)(bucket - path) + strcspn(root + (bucket - path), "/");
    return root;
}

coulis_status cl_append_objects(cl_inputs *inputs, const char *path, const char *output, coulis_error *error) {
    size_t key = 0;
    char *root = trim(path, &key);
    char *folder = root ? cl_format("%s/", root) : NULL, *bucket = root ? cl_format("%.*s/", (int)key, root) : NULL;
    const int64_t first = inputs->list.count;
    coulis_status status = folder && bucket ? cl_inputs_remote(inputs, error)
                                            : cl_fail_memory(error, path, strlen(path));
    if (!status) {
        listing l = {.inputs = inputs,
                     .bucket = bucket,
                     .below = strlen(folder) - key - 1,
                     .output = output && cl_remote_is_s3(output) ? output : NULL};
        inputs->arguments[inputs->argument_count - 1].root = strlen(root);
        status = cl_remote_list(inputs->remote, folder, 0, take, &l, error);
    }
    const bool found = inputs->list.count > first;
    if (!status && found) {
        cl_list_sort(&inputs->list, first);
    } else if (!status && root[key] == '/' && strcmp(root, path) == 0) { /* then it is one object */
        const cl_entry entry = {.bytes = -1, .modified = CL_NO_TIME, .argument = inputs->argument_count - 1};
        inputs->arguments[inputs->argument_count - 1].root = 0;
        status = cl_list_append(&inputs->list, root, strlen(root), NULL, entry, error);
    } else if (!status) {
        status = cl_fail(error, COULIS_MISSING, "%s: no objects there", path);
    }
    cl_free(bucket);
    cl_free(folder);
    cl_free(root);
    return status;
}
