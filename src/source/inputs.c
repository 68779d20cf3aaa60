#include "source/inputs.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/sized.h"
#include "source/location.h"

void coulis_source_options_init(coulis_source_options *options, size_t size) {
    const coulis_source_options defaults = {.size = sizeof defaults};
    cl_sized_init(options, size, &defaults, sizeof defaults);
}

/* ---- opening: what each PATH is ---- */

static coulis_status append_image(cl_inputs *inputs, const char *path, const struct stat *info, coulis_error *error) {
    cl_entry entry = {.bytes = -1, .modified = CL_NO_TIME, .argument = inputs->argument_count - 1};
    if (info && S_ISREG(info->st_mode)) {
        entry.bytes = info->st_size;
        entry.modified = (int64_t)info->st_mtim.tv_sec * 1000000 + info->st_mtim.tv_nsec / 1000;
    }
    return cl_list_append(&inputs->list, path, strlen(path), NULL, entry, error);
}

static coulis_status append_argument(cl_inputs *inputs, const char *path, const char *output, coulis_error *error) {
    struct stat info;
    if (!path || !*path) return cl_fail(error, COULIS_INVALID_ARGUMENT, "an empty path was given");
    cl_argument *arguments = cl_grow(inputs->arguments, (size_t)inputs->argument_count + 1, sizeof *arguments);
    if (!arguments) return cl_fail_memory(error, "the paths", sizeof *arguments);
    inputs->arguments = arguments;
    arguments[inputs->argument_count++] = (cl_argument){0};
    if (path[0] == '@') return cl_append_lines(inputs, path + 1, error);
    if (cl_location_has_scheme(path))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: '%.*s' is not served", path,
                       (int)(strstr(path, "://") + 3 - path), path);
    if (stat(path, &info) != 0)
        return cl_fail(error, errno == ENOENT || errno == ENOTDIR ? COULIS_MISSING : COULIS_IO, "%s: %s", path,
                       errno == ENOENT || errno == ENOTDIR ? "no such file or folder" : strerror(errno));
    return S_ISDIR(info.st_mode) ? cl_append_folder(inputs, path, output, error)
                                 : append_image(inputs, path, &info, error);
}

/* A digest of all names in order, and of the labels and columns that came with them. */
static void identify(cl_inputs *inputs) {
    const cl_list *list = &inputs->list;
    cl_sha256 hash;
    cl_sha256_begin(&hash);
    for (int64_t i = 0; i < list->count; i++) {
        const char *text = cl_list_name(list, i), *end = text + strlen(text) + 1;
        for (int f = 0; f < list->entries[i].fields; f++) end += *end ? strlen(end) + 1 : 1;
        cl_sha256_add(&hash, text, (size_t)(end - text));
    }
    if (inputs->options.label) /* only where it is not the default: older results are resumed */
        cl_sha256_add(&hash, inputs->options.label, strlen(inputs->options.label));
    cl_sha256_end(&hash, inputs->sha256);
    inputs->table.identity = inputs->sha256;
}

/* Names that are relative mean other files in another folder. */
static coulis_status find_root(cl_inputs *inputs, coulis_error *error) {
    bool relative = false;
    for (int64_t i = 0; i < inputs->list.count && !relative; i++) {
        const char *name = cl_list_name(&inputs->list, i);
        relative = name[0] != '/' && !cl_location_has_scheme(name);
    }
    if (!relative) return COULIS_OK;
    char *here = getcwd(NULL, 0);
    if (!here) return cl_fail(error, COULIS_IO, "the working folder has no name: %s", strerror(errno));
    inputs->root = cl_strdup(here);
    free(here);
    return inputs->root ? COULIS_OK : cl_fail_memory(error, "the working folder", 0);
}

bool cl_inputs_tell_states(const cl_inputs *inputs) {
    for (int64_t i = 0; i < inputs->list.count; i++)
        if (inputs->list.entries[i].kind == CL_ENTRY_MANY) return false;
    return inputs->table.count == inputs->list.count;
}

cl_file_state cl_inputs_state(const cl_inputs *inputs, int64_t i) {
    const cl_entry *entry = &inputs->list.entries[i];
    const char *name = cl_list_name(&inputs->list, i);
    if (!cl_location_has_scheme(name)) return cl_file_state_at(name);
    cl_file_state state = {.has_bytes = entry->bytes >= 0, .has_modified = entry->modified != CL_NO_TIME};
    if (state.has_bytes) state.bytes = entry->bytes;
    if (state.has_modified) state.modified = entry->modified;
    return state;
}

/* ---- the table of functions ---- */

/* The real name of the folder that the first `end` bytes of `path`, which end in "." or "..", stand for. */
static const char *real_name(cl_inputs *inputs, const char *path, size_t end) {
    if (inputs->dots && strlen(inputs->dots) == end && memcmp(inputs->dots, path, end) == 0) return inputs->dots_name;
    cl_free(inputs->dots);
    cl_free(inputs->dots_name);
    inputs->dots_name = NULL;
    inputs->dots = cl_alloc(end + 1, 1);
    if (!inputs->dots) return NULL;
    memcpy(inputs->dots, path, end);
    inputs->dots[end] = '\0';
    char *real = realpath(inputs->dots, NULL);
    inputs->dots_name = cl_strdup(real ? strrchr(real, '/') + 1 : "");
    free(real);
    return inputs->dots_name;
}

/* The label that the rule gives, as a text of its own; NULL when memory is short. */
static const char *make_label(cl_inputs *inputs, const char *path, size_t root) {
    size_t length;
    const char *label = cl_label_of(&inputs->rule, path, root, &length);
    if (length > 0 && length <= 2 && strncmp(label, "..", length) == 0 && !cl_location_has_scheme(path))
        return real_name(inputs, path, (size_t)(label - path) + length);
    if (length + 1 > inputs->label_capacity) {
        char *grown = cl_grow(inputs->label, length + 64, 1);
        if (!grown) return NULL;
        inputs->label = grown;
        inputs->label_capacity = length + 64;
    }
    memcpy(inputs->label, label, length);
    inputs->label[length] = '\0';
    return inputs->label;
}

static coulis_status next(void *context, coulis_item *item, coulis_error *error) {
    cl_inputs *inputs = context;
    const cl_list *list = &inputs->list;
    if (inputs->at == list->count) return COULIS_OK;
    const cl_entry *entry = &list->entries[inputs->at];
    item->name = cl_list_name(list, inputs->at);
    item->bytes = entry->bytes;
    item->modified = entry->modified;
    item->key = inputs->at++;
    item->label = make_label(inputs, item->name, inputs->arguments[entry->argument].root);
    return item->label ? COULIS_OK : cl_fail_memory(error, "a label", strlen(item->name));
}

static coulis_status read_item(void *context, coulis_item *item, int64_t max_bytes, void **bytes, size_t *byte_count,
                               coulis_error *error) {
    const cl_inputs *inputs = context;
    if (inputs->list.entries[item->key].kind == CL_ENTRY_FAULT) {
        const char *message;
        cl_list_fields(&inputs->list, item->key, &message);
        return cl_fail(error, COULIS_UNREADABLE, "%s", message);
    }
    uint8_t *read;
    cl_file_state state;
    coulis_status status = cl_location_read(item->name, max_bytes, &read, byte_count, &state, error);
    item->bytes = state.has_bytes ? state.bytes : -1;
    item->modified = state.has_modified ? state.modified : CL_NO_TIME;
    if (status == COULIS_OK) *bytes = read;
    return status;
}

static void release(void *context, void *bytes) {
    (void)context;
    cl_free(bytes);
}

static void close_inputs(void *context) { cl_inputs_close(context); }

coulis_status cl_inputs_open(const char *const *paths, int64_t count, const coulis_source_options *options,
                             const char *output, cl_inputs **out, coulis_error *error) {
    if (count < 1 || !paths) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no images given");
    cl_inputs *inputs = cl_alloc_zero(1, sizeof *inputs);
    if (!inputs) return cl_fail_memory(error, "the list of images", sizeof *inputs);
    coulis_source_options_init(&inputs->options, sizeof inputs->options);
    coulis_status status = cl_sized_read(options, "coulis_source_options", &inputs->options, sizeof inputs->options,
                                         error);
    if (status == COULIS_OK) status = cl_label_rule_read(inputs->options.label, &inputs->rule, error);
    for (int64_t i = 0; status == COULIS_OK && i < count; i++)
        status = append_argument(inputs, paths[i], output, error);
    if (status != COULIS_OK) {
        cl_inputs_close(inputs);
        return status;
    }
    identify(inputs);
    status = find_root(inputs, error);
    if (status != COULIS_OK) {
        cl_inputs_close(inputs);
        return status;
    }
    coulis_source *table = &inputs->table;
    table->size = sizeof *table;
    table->context = inputs;
    table->count = inputs->list.count;
    table->next = next;
    table->read = read_item;
    table->release = release;
    table->close = close_inputs;
    *out = inputs;
    return COULIS_OK;
}

void cl_inputs_close(cl_inputs *inputs) {
    if (!inputs) return;
    cl_list_release(&inputs->list);
    cl_free(inputs->arguments);
    cl_free(inputs->label);
    cl_free(inputs->dots);
    cl_free(inputs->dots_name);
    cl_free(inputs->root);
    cl_free(inputs);
}

coulis_status coulis_source_open(const char *const *paths, int64_t count, const coulis_source_options *options,
                                 const char *output, coulis_source **source, coulis_error *error) {
    if (!source) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no place for the source given");
    cl_inputs *inputs;
    coulis_status status = cl_inputs_open(paths, count, options, output, &inputs, error);
    if (status != COULIS_OK) return status;
    *source = &inputs->table;
    cl_clear(error);
    return COULIS_OK;
}

void coulis_source_close(coulis_source *source) {
    if (source && source->close) source->close(source->context);
}
