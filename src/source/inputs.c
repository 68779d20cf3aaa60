#include "source/inputs.h"

#include <errno.h>
#include <stdlib.h>

#include "base/disk.h"
#include "base/sized.h"
#include "source/location.h"

void coulis_source_options_init(coulis_source_options *options, size_t size) {
    const coulis_source_options defaults = {.size = sizeof defaults};
    cl_sized_init(options, size, &defaults, sizeof defaults);
}

/* -1 when they are not known before the last one. */
static int64_t count_items(const cl_inputs *inputs) { return inputs->has_many ? -1 : inputs->list.count; }

/* What decides which items of an archive are taken. */
static void add_choice(cl_sha256 *hash, const coulis_source_options *options) {
    for (int64_t i = 0; i < options->include_count; i++)
        cl_sha256_add(hash, options->include[i], strlen(options->include[i]) + 1);
    cl_sha256_add(hash, "", 1);
    for (int64_t i = 0; i < options->exclude_count; i++)
        cl_sha256_add(hash, options->exclude[i], strlen(options->exclude[i]) + 1);
    if (options->all_files) cl_sha256_add(hash, "all", 3);
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
        if (list->entries[i].kind != CL_ENTRY_MANY) continue;
        /* Its items are not known yet: they change when the file does. */
        cl_sha256_add(&hash, &list->entries[i].bytes, sizeof(int64_t));
        cl_sha256_add(&hash, &list->entries[i].modified, sizeof(int64_t));
    }
    if (inputs->has_many) add_choice(&hash, &inputs->options);
    /* Only where it is not the default: older results are resumed. */
    if (inputs->options.label && strcmp(inputs->options.label, "parent") != 0)
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
    inputs->root = cl_working_folder();
    if (inputs->root) return COULIS_OK;
    if (errno == ENOMEM) return cl_fail_memory(error, "the working folder", 0);
    return cl_fail(error, COULIS_IO, "the working folder has no name: %s", strerror(errno));
}

bool cl_inputs_tell_states(const cl_inputs *inputs) {
    for (int64_t i = 0; i < inputs->list.count; i++)
        if (inputs->list.entries[i].kind == CL_ENTRY_MANY) return false;
    return inputs->table.count == inputs->list.count;
}

coulis_status cl_inputs_state(const cl_inputs *inputs, int64_t i, cl_file_state *state, coulis_error *error) {
    const cl_entry *entry = &inputs->list.entries[i];
    const char *name = cl_list_name(&inputs->list, i);
    *state = (cl_file_state){.has_bytes = entry->bytes >= 0, .has_modified = entry->modified != CL_NO_TIME};
    if (state->has_bytes) state->bytes = entry->bytes;
    if (state->has_modified) state->modified = entry->modified;
    return cl_location_has_scheme(name) ? COULIS_OK : cl_file_state_at(name, state, error);
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
    char *real = cl_real_path(inputs->dots);
    inputs->dots_name = cl_strdup(real ? strrchr(real, '/') + 1 : "");
    cl_free(real);
    return inputs->dots_name;
}

static const char *copy_label(cl_inputs *inputs, const char *label, size_t length) {
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

/* The label that the rule gives, as a text of its own; NULL when memory is short. `here`: the path is one, and not a
 * name within an archive. */
static const char *make_label(cl_inputs *inputs, const char *path, size_t root, bool here) {
    size_t length;
    if (here && cl_location_has_scheme(path)) {
        char *below = cl_location_path(path);
        const size_t before = below ? strlen(path) - strlen(below) : 0; /* with http, whose roots are 0, too little */
        root = root > before ? root - before : 0;
        const char *label = below ? cl_label_of(&inputs->rule, below, root, &length) : NULL;
        label = label ? copy_label(inputs, label, length) : NULL;
        cl_free(below);
        return label;
    }
    const char *label = cl_label_of(&inputs->rule, path, root, &length);
    const bool dots = length > 0 && length <= 2 && strncmp(label, "..", length) == 0;
    if (dots && here) return real_name(inputs, path, (size_t)(label - path) + length);
    if (dots) length = 0;
    return copy_label(inputs, label, length);
}

/* Has a label for the item, unless its source gave one. */
static coulis_status finish_label(cl_inputs *inputs, coulis_item *item, size_t root, coulis_error *error) {
    if (!item->label) item->label = make_label(inputs, item->name, root, true);
    return item->label ? COULIS_OK : cl_fail_memory(error, "a label", strlen(item->name));
}

/* The label and the columns that a manifest gives with an image. */
static void take_fields(cl_inputs *inputs, coulis_item *item) {
    const int fields = inputs->list.entries[item->key].fields;
    for (int i = 0; i <= inputs->column_count; i++) inputs->values[i] = NULL;
    cl_list_fields(&inputs->list, item->key, inputs->values);
    if (inputs->values[0] && !inputs->rule.none) item->label = inputs->values[0];
    if (fields > 1) item->values = inputs->values + 1;
}

/* The next item of the current archive or table; no name at its end. What is damaged in it becomes its last row. */
static coulis_status next_of_many(cl_inputs *inputs, coulis_item *item, coulis_error *error) {
    const cl_entry *entry = &inputs->list.entries[inputs->at];
    const cl_argument *argument = &inputs->arguments[entry->argument];
    const char *name = cl_list_name(&inputs->list, inputs->at);
    coulis_status status = COULIS_OK;
    if (inputs->damaged) { /* that row was given */
        inputs->damaged = false;
        return COULIS_OK;
    }
    if (!inputs->open) status = cl_many_open(name, &inputs->options, inputs->left_out, &inputs->open, error);
    item->key = -1;
    item->now = 1;
    if (!status) status = inputs->open->next(inputs->open, item, error);
    if (status == COULIS_BAD_DATA) {
        inputs->damaged = true;
        if (error) inputs->damage = *error;
        item->name = name;
        item->label = "";
        cl_clear(error);
    } else if (status) {
        return status;
    }
    if (!item->name || inputs->damaged) {
        if (inputs->open) inputs->open->close(inputs->open);
        inputs->open = NULL;
        return cl_many_is_same(name, entry->bytes, entry->modified, error);
    }
    const size_t root = inputs->open->root;
    if (item->values) {
        for (int i = 0; i < inputs->column_count; i++) inputs->values[i] = NULL;
        for (int i = 0; i < inputs->open->column_count; i++) inputs->values[argument->columns[i]] = item->values[i];
        item->values = inputs->values;
    }
    if (inputs->rule.none) item->label = "";
    if (item->label) return COULIS_OK;
    /* Folders are counted within the archive: its own name is not a folder, and dots in it are none of this machine. */
    item->label = make_label(inputs, item->name + root, 0, false);
    return item->label ? COULIS_OK : cl_fail_memory(error, "a label", strlen(item->name));
}

static coulis_status next(void *context, coulis_item *item, coulis_error *error) {
    cl_inputs *inputs = context;
    const cl_list *list = &inputs->list;
    while (inputs->at < list->count) {
        const cl_entry *entry = &list->entries[inputs->at];
        if (entry->kind == CL_ENTRY_MANY) {
            coulis_status status = next_of_many(inputs, item, error);
            if (status || item->name) return status;
            inputs->at++;
            continue;
        }
        item->name = cl_list_name(list, inputs->at);
        item->bytes = entry->bytes;
        item->modified = entry->modified;
        item->key = inputs->at;
        if (entry->kind == CL_ENTRY_IMAGE && entry->fields > 0) take_fields(inputs, item);
        inputs->at++;
        return finish_label(inputs, item, inputs->arguments[entry->argument].root, error);
    }
    return COULIS_OK;
}

static coulis_status read_item(void *context, coulis_item *item, int64_t max_bytes, void **bytes, size_t *byte_count,
                               coulis_error *error) {
    cl_inputs *inputs = context;
    if (item->key < 0 && inputs->damaged) return cl_fail(error, COULIS_UNREADABLE, "%s", inputs->damage.message);
    if (item->key < 0) return inputs->open->read(inputs->open, item, max_bytes, bytes, byte_count, error);
    if (inputs->list.entries[item->key].kind == CL_ENTRY_FAULT) {
        const char *message;
        cl_list_fields(&inputs->list, item->key, &message);
        return cl_fail(error, COULIS_UNREADABLE, "%s", message);
    }
    uint8_t *read;
    cl_file_state state;
    coulis_status status = cl_location_read(inputs->remote, item->name, max_bytes, &read, byte_count, &state, error);
    item->bytes = state.has_bytes ? state.bytes : -1;
    item->modified = state.has_modified ? state.modified : CL_NO_TIME;
    if (!status) *bytes = read;
    return status;
}

static void release(void *context, void *bytes) {
    (void)context;
    cl_free(bytes);
}

static void close_inputs(void *context) { cl_inputs_close(context); }

static void stop(void *context) {
    const cl_inputs *inputs = context;
    if (inputs->remote) cl_remote_stop(inputs->remote);
}

coulis_status cl_inputs_grown(const cl_inputs *inputs, int64_t first, const char *list, coulis_error *error) {
    return inputs->list.count > first ? COULIS_OK : cl_fail(error, COULIS_MISSING, "%s: no paths in this list", list);
}

coulis_status cl_inputs_remote(cl_inputs *inputs, coulis_error *error) {
    const cl_remote_options options = cl_location_options(&inputs->options);
    return inputs->remote ? COULIS_OK : cl_remote_create(&options, &inputs->remote, error);
}

/* Connections, when any item is on another machine. */
static coulis_status connect_remote(cl_inputs *inputs, coulis_error *error) {
    for (int64_t i = 0; i < inputs->list.count; i++) {
        if (inputs->list.entries[i].kind != CL_ENTRY_IMAGE || !cl_location_is_remote(cl_list_name(&inputs->list, i)))
            continue;
        inputs->table.readers = CL_REMOTE_READERS;
        return cl_inputs_remote(inputs, error);
    }
    return COULIS_OK;
}

/* Copies the patterns, which are the caller's. */
static coulis_status keep_patterns(cl_inputs *inputs, coulis_error *error) {
    coulis_source_options *options = &inputs->options;
    const int64_t included = options->include_count, count = included + options->exclude_count;
    inputs->patterns = cl_alloc_zero((size_t)count + 1, sizeof *inputs->patterns);
    for (int64_t i = 0; inputs->patterns && i < count; i++) {
        const char *pattern = i < included ? options->include[i] : options->exclude[i - included];
        if (!(inputs->patterns[i] = cl_strdup(pattern))) break;
        inputs->pattern_count++;
    }
    if (!inputs->patterns || inputs->pattern_count < count) return cl_fail_memory(error, "patterns", 0);
    options->include = (const char *const *)inputs->patterns;
    options->exclude = (const char *const *)inputs->patterns + included;
    return COULIS_OK;
}

coulis_status cl_inputs_open(const char *const *paths, int64_t count, const coulis_source_options *options,
                             const char *output, cl_inputs **out, coulis_error *error) {
    if (count < 1 || !paths) return cl_fail(error, COULIS_INVALID_ARGUMENT, "no images given");
    cl_inputs *inputs = cl_alloc_zero(1, sizeof *inputs);
    if (!inputs) return cl_fail_memory(error, "the list of images", sizeof *inputs);
    coulis_source_options_init(&inputs->options, sizeof inputs->options);
    coulis_status status = cl_sized_read(options, "coulis_source_options", &inputs->options, sizeof inputs->options,
                                         error);
    if (!status) status = cl_choose_check(&inputs->options, error);
    if (!status) status = keep_patterns(inputs, error);
    if (!status) status = cl_label_rule_read(inputs->options.label, &inputs->rule, error);
    for (int64_t i = 0; !status && i < count; i++) status = cl_append_argument(inputs, paths[i], output, error);
    inputs->values = cl_alloc((size_t)inputs->column_count + 1, sizeof *inputs->values);
    if (!status && !inputs->values) status = cl_fail_memory(error, "columns", 0);
    if (status) {
        cl_inputs_close(inputs);
        return status;
    }
    identify(inputs);
    inputs->options.label = NULL; /* the caller's; its rule is kept */
    status = find_root(inputs, error);
    if (!status) status = connect_remote(inputs, error);
    if (status) {
        cl_inputs_close(inputs);
        return status;
    }
    memcpy(inputs->listed, inputs->left_out, sizeof inputs->listed);
    coulis_source *table = &inputs->table;
    table->size = sizeof *table;
    table->context = inputs;
    table->count = count_items(inputs);
    table->columns = (const char *const *)inputs->columns;
    table->column_count = inputs->column_count;
    table->next = next;
    table->read = read_item;
    table->release = release;
    table->close = close_inputs;
    table->stop = stop;
    *out = inputs;
    return COULIS_OK;
}

void cl_inputs_close(cl_inputs *inputs) {
    if (!inputs) return;
    if (inputs->open) inputs->open->close(inputs->open);
    cl_remote_free(inputs->remote);
    cl_list_release(&inputs->list);
    for (uint32_t i = 0; i < inputs->argument_count; i++) cl_free(inputs->arguments[i].columns);
    cl_free(inputs->arguments);
    for (int i = 0; i < inputs->column_count; i++) cl_free(inputs->columns[i]);
    cl_free(inputs->columns);
    for (int64_t i = 0; i < inputs->pattern_count; i++) cl_free(inputs->patterns[i]);
    cl_free(inputs->patterns);
    cl_free(inputs->values);
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
    if (status) return status;
    *source = &inputs->table;
    cl_clear(error);
    return COULIS_OK;
}

void coulis_source_info_init(coulis_source_info *info, size_t size) {
    const coulis_source_info none = {.size = sizeof none};
    cl_sized_init(info, size, &none, sizeof none);
}

void coulis_source_describe(const coulis_source *source, coulis_source_info *info) {
    const cl_inputs *inputs = source->context;
    const coulis_source_info now = {.size = sizeof now,
                                    .system = inputs->left_out[CL_SYSTEM],
                                    .hidden = inputs->left_out[CL_HIDDEN],
                                    .excluded = inputs->left_out[CL_EXCLUDED],
                                    .unreadable = inputs->faults};
    cl_sized_write(info, &now, sizeof now);
}

void cl_inputs_count(const cl_inputs *inputs, coulis_job_result *result) {
    result->left_out_system = inputs->left_out[CL_SYSTEM];
    result->left_out_hidden = inputs->left_out[CL_HIDDEN];
    result->left_out_excluded = inputs->left_out[CL_EXCLUDED];
    result->folders_unreadable = inputs->faults;
}

void coulis_source_close(coulis_source *source) {
    if (source && source->close) source->close(source->context);
}
