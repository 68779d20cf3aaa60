/* What each PATH is, and what it adds to the list. */
#include <errno.h>

#include "base/disk.h"
#include "source/columns.h"
#include "source/inputs.h"
#include "source/location.h"

static coulis_status append_image(cl_inputs *inputs, const char *path, const cl_about *info, coulis_error *error) {
    cl_entry entry = {.bytes = -1, .modified = CL_NO_TIME, .argument = inputs->argument_count - 1};
    if (info && info->kind == CL_PATH_FILE) {
        entry.bytes = info->bytes;
        entry.modified = info->modified;
    }
    return cl_list_append(&inputs->list, path, strlen(path), NULL, entry, error);
}

/* Files of this machine and of others that their ending tells from an image. */
typedef coulis_status appender(cl_inputs *inputs, const char *path, coulis_error *error);

static appender *manifest_of(const char *path) {
    return cl_is_delimited(path) ? cl_append_delimited : cl_is_json_lines(path) ? cl_append_json_lines : NULL;
}

static appender *file_of(const char *path) {
    appender *manifest = manifest_of(path);
    return manifest ? manifest : cl_is_many(path) ? cl_append_many : NULL;
}

static coulis_status append_remote(cl_inputs *inputs, const char *path, const char *output, coulis_error *error) {
    appender *file = file_of(path);
    if (file) return file(inputs, path, error);
    return cl_remote_is_s3(path) ? cl_append_objects(inputs, path, output, error)
                                 : append_image(inputs, path, NULL, error);
}

coulis_status cl_append_argument(cl_inputs *inputs, const char *path, const char *output, coulis_error *error) {
    cl_about info;
    if (!path || !*path) return cl_fail(error, COULIS_INVALID_ARGUMENT, "an empty path was given");
    cl_argument *arguments = cl_grow(inputs->arguments, (size_t)inputs->argument_count + 1, sizeof *arguments);
    if (!arguments) return cl_fail_memory(error, "the paths", sizeof *arguments);
    inputs->arguments = arguments;
    arguments[inputs->argument_count++] = (cl_argument){0};
    if (path[0] == '@') {
        appender *manifest = manifest_of(path);
        return (manifest ? manifest : cl_append_lines)(inputs, path + 1, error);
    }
    if (cl_location_is_remote(path)) return append_remote(inputs, path, output, error);
    if (cl_location_has_scheme(path)) return cl_location_refuse(path, COULIS_INVALID_ARGUMENT, error);
    if (!cl_look(path, &info))
        return cl_fail(error, errno == ENOENT || errno == ENOTDIR ? COULIS_MISSING : COULIS_IO, "%s: %s", path,
                       errno == ENOENT || errno == ENOTDIR ? "no such file or folder" : strerror(errno));
    if (info.kind == CL_PATH_FOLDER) return cl_append_folder(inputs, path, output, error);
    appender *file = file_of(path);
    return file ? file(inputs, path, error) : append_image(inputs, path, &info, error);
}

coulis_status cl_inputs_column(cl_inputs *inputs, const char *name, int *number, coulis_error *error) {
    const char *prefix = cl_column_is_own(name) ? "input_" : *name ? "" : "column";
    char *full = cl_format("%s%s", prefix, name), *clean = full ? cl_utf8_copy(full) : NULL;
    char **columns = cl_grow(inputs->columns, (size_t)inputs->column_count + 1, sizeof *columns);
    cl_free(full);
    if (columns) inputs->columns = columns;
    if (!clean || !columns) {
        cl_free(clean);
        return cl_fail_memory(error, "columns", 0);
    }
    for (*number = 0; *number < inputs->column_count; ++*number) {
        if (strcmp(columns[*number], clean) != 0) continue;
        cl_free(clean);
        return COULIS_OK;
    }
    if (inputs->column_count == CL_COLUMNS_MAX) {
        cl_free(clean);
        return cl_fail(error, COULIS_BAD_DATA, "more than %d columns beside path and label", CL_COLUMNS_MAX);
    }
    columns[inputs->column_count++] = clean;
    return COULIS_OK;
}

coulis_status cl_append_row(cl_inputs *inputs, const char *path, const char *const *values, coulis_error *error) {
    if (cl_choose_file(&inputs->options, path) != CL_TAKE) {
        inputs->left_out[CL_EXCLUDED]++;
        return COULIS_OK;
    }
    const cl_entry entry = {.bytes = -1,
                            .modified = CL_NO_TIME,
                            .argument = inputs->argument_count - 1,
                            .fields = (uint16_t)(1 + inputs->column_count)};
    return cl_list_append(&inputs->list, path, strlen(path), values, entry, error);
}

/* Rows of a table of paths become entries as those of a manifest do. */
static coulis_status append_paths(cl_inputs *inputs, cl_many *many, const int *columns, coulis_error *error) {
    const char **values = cl_alloc((size_t)inputs->column_count + 1, sizeof *values);
    coulis_status status = values ? COULIS_OK : cl_fail_memory(error, "columns", 0);
    while (!status) {
        coulis_item item = {0};
        status = many->next(many, &item, error);
        if (status || !item.name) break;
        for (int i = 0; i <= inputs->column_count; i++) values[i] = NULL;
        values[0] = item.label;
        for (int i = 0; i < many->column_count; i++) values[1 + columns[i]] = item.values[i];
        status = cl_append_row(inputs, item.name, values, error);
    }
    cl_free(values);
    return status;
}

coulis_status cl_append_many(cl_inputs *inputs, const char *path, coulis_error *error) {
    cl_argument *argument = &inputs->arguments[inputs->argument_count - 1];
    cl_many *many;
    cl_file_state state;
    coulis_status status = cl_many_open(path, &inputs->options, NULL, &many, error);
    if (status) return status;
    argument->columns = cl_alloc((size_t)many->column_count, sizeof *argument->columns);
    if (!argument->columns) status = cl_fail_memory(error, "columns", 0);
    for (int i = 0; i < many->column_count && !status; i++)
        status = cl_inputs_column(inputs, many->columns[i], &argument->columns[i], error);
    if (!status && many->paths_only) {
        status = append_paths(inputs, many, argument->columns, error);
    } else if (!status && (status = cl_location_state(path, &inputs->options, &state, error)) == COULIS_OK) {
        const cl_entry entry = {.bytes = state.has_bytes ? state.bytes : -1,
                                .kind = CL_ENTRY_MANY,
                                .modified = state.has_modified ? state.modified : CL_NO_TIME,
                                .argument = inputs->argument_count - 1};
        status = cl_list_append(&inputs->list, path, strlen(path), NULL, entry, error);
        inputs->has_many = true;
    }
    many->close(many);
    return status;
}
