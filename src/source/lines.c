/* A list of paths: a file, or standard input. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/disk.h"
#include "image/format.h"
#include "remote/remote.h"
#include "source/choose.h"
#include "source/inputs.h"
#include "source/location.h"

/* Lines in which a label behind the path is looked for. */
#define LINES_LOOKED_AT 8

/* Whether `path`, the beginning of `line`, is what the line should have been. No server is asked: there, a name that
 * ends as an image's does is taken for one. */
static bool is_path_of(const char *path, const char *line) {
    if (cl_location_has_scheme(line)) return cl_is_image_name(path) && !cl_is_image_name(line);
    return cl_path_exists(path);
}

/* Says what to do with a line "path label": the path is not there, but is without what follows the separator. */
static coulis_status check_for_label(const char *list, const char *line, size_t length, coulis_error *error) {
    char path[4096];
    const bool address = cl_location_has_scheme(line);
    /* What an address cannot have; a key of S3 may have blanks. */
    const char *separators = !address ? " \t,;" : cl_remote_is_s3(line) ? "\t" : " \t";
    if (length >= sizeof path || (!address && cl_path_exists(line))) return COULIS_OK;
    memcpy(path, line, length + 1);
    for (size_t end = length; end-- > 1;) {
        if (!strchr(separators, path[end])) continue;
        path[end] = '\0';
        if (is_path_of(path, line))
            return cl_fail(error, COULIS_INVALID_ARGUMENT,
                           "%s: a line is one path, but '%s' looks like a path and a label; write them to a .csv file "
                           "with the header path,label and name that file instead",
                           list, line);
    }
    return COULIS_OK;
}

static coulis_status append_line(cl_inputs *inputs, const char *list, char *line, size_t length, int64_t number,
                                 coulis_error *error) {
    if (number == 1 && length >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) { /* a byte-order mark */
        line += 3;
        length -= 3;
    }
    if (number == 1 && length >= 2 && (memcmp(line, "\xFF\xFE", 2) == 0 || memcmp(line, "\xFE\xFF", 2) == 0))
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: is UTF-16; save the list as UTF-8", list);
    if (!inputs->options.zero_terminated) {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) line[--length] = '\0';
        if (strlen(line) != length)
            return cl_fail(error, COULIS_INVALID_ARGUMENT,
                           "%s: not a list of paths (a zero byte in line %lld); -0 reads paths that end with one", list,
                           (long long)number);
    } else {
        length = strlen(line);
    }
    if (length == 0) return COULIS_OK;
    if (cl_choose_file(&inputs->options, line) != CL_TAKE) {
        inputs->left_out[CL_EXCLUDED]++;
        return COULIS_OK;
    }
    if (number <= LINES_LOOKED_AT) {
        coulis_status status = check_for_label(list, line, length, error);
        if (status) return status;
    }
    const cl_entry entry = {.bytes = -1, .modified = CL_NO_TIME, .argument = inputs->argument_count - 1};
    return cl_list_append(&inputs->list, line, length, NULL, entry, error);
}

coulis_status cl_append_lines(cl_inputs *inputs, const char *path, coulis_error *error) {
    const int standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    FILE *file = NULL;
    if (cl_location_has_scheme(path)) {
        uint64_t size;
        coulis_status status = cl_location_open(path, &inputs->options, &file, &size, error);
        if (status) return status;
    } else {
        file = standard ? stdin : fopen(path, "r");
    }
    if (!file)
        return cl_fail(error, errno == ENOENT ? COULIS_MISSING : COULIS_IO, "%s: list cannot be opened: %s", path,
                       strerror(errno));
    coulis_status status = COULIS_OK;
    int64_t first = inputs->list.count, number = 0;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while (!status && (length = getdelim(&line, &capacity, inputs->options.zero_terminated ? '\0' : '\n', file)) >= 0)
        status = append_line(inputs, name, line, (size_t)length, ++number, error);
    if (!status && ferror(file))
        status = cl_fail(error, COULIS_IO, "%s: list cannot be read: %s", name, strerror(errno));
    free(line);
    if (!standard) fclose(file);
    return status ? status : cl_inputs_grown(inputs, first, name, error);
}
