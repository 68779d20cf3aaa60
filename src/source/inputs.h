/* The library's own source: what the PATHs of a command stand for, one after the other. */
#pragma once

#include "base/files.h"
#include "base/sha256.h"
#include "remote/remote.h"
#include "source/choose.h"
#include "source/label.h"
#include "source/list.h"
#include "source/many.h"

/* One PATH. */
typedef struct cl_argument {
    size_t root;  /* bytes of the names from it that are the PATH itself; 0 where names are given as they are */
    int *columns; /* of a CL_ENTRY_MANY: where each of its columns is among those of the inputs */
} cl_argument;

typedef struct cl_inputs {
    coulis_source table;           /* its context is this struct */
    coulis_source_options options; /* its patterns are copies, which archives that are opened later need */
    char **patterns;
    int64_t pattern_count;
    cl_label_rule rule;
    cl_list list;
    cl_argument *arguments;
    uint32_t argument_count;
    int64_t left_out[CL_VERDICTS]; /* files and folders not taken, by reason */
    int64_t listed[CL_VERDICTS];   /* of these, those that were found before the first item was given */
    int64_t faults;                /* folders that could not be read */
    bool has_many;                 /* among the entries, so the number of items is not known */
    bool damaged;                  /* the item given last stands for what is damaged in the open file */
    coulis_error damage;
    int64_t at;          /* the next entry */
    cl_many *open;       /* the file that entry stands for, when its items are given */
    char **columns;      /* names of further text columns */
    const char **values; /* of the item given last */
    int column_count;
    char *label; /* of the item given last */
    size_t label_capacity;
    char *dots, *dots_name; /* a path that ends in "." or "..", and the real name of that folder */
    char sha256[CL_SHA256_TEXT];
    cl_remote *remote; /* by which items of other machines are read; NULL when there are none */
    char *root;        /* the working folder, when a name is relative to it; NULL when none is */
} cl_inputs;

/* What coulis_source_open does, as the type it is. Released with cl_inputs_close. */
coulis_status cl_inputs_open(const char *const *paths, int64_t count, const coulis_source_options *options,
                             const char *output, cl_inputs **inputs, coulis_error *error);
void cl_inputs_close(cl_inputs *inputs);

/* Whether every item is a file of its own, so that cl_inputs_state can tell of it. */
bool cl_inputs_tell_states(const cl_inputs *inputs);
/* The state of an item's file as it is now; what the listing said where that is elsewhere. Fails where the machine
 * cannot look. By any thread. */
coulis_status cl_inputs_state(const cl_inputs *inputs, int64_t i, cl_file_state *state, coulis_error *error);

/* Goes back to the first item: what is left out of archives is counted once. */
void cl_inputs_rewind(cl_inputs *inputs);

/* Says in `result` what was left out so far. */
void cl_inputs_count(const cl_inputs *inputs, coulis_job_result *result);

/* The number of the column `name` of the result, added if need be. One that the result has itself gets "input_" before
 * its name. */
coulis_status cl_inputs_column(cl_inputs *inputs, const char *name, int *number, coulis_error *error);

/* Appends the image that one row of a manifest names, unless it is excluded: `values` are its label and then a value,
 * or NULL, for each of the result's columns so far. */
coulis_status cl_append_row(cl_inputs *inputs, const char *path, const char *const *values, coulis_error *error);

/* COULIS_MISSING where reading `list` has appended nothing to the `first` entries before it. */
coulis_status cl_inputs_grown(const cl_inputs *inputs, int64_t first, const char *list, coulis_error *error);

/* Has inputs->remote. */
coulis_status cl_inputs_remote(cl_inputs *inputs, coulis_error *error);

/* Appends what one PATH stands for. */
coulis_status cl_append_argument(cl_inputs *inputs, const char *path, const char *output, coulis_error *error);

/* ---- the kinds of PATH, each in a file of its own: they append to inputs->list ---- */

/* Every file below `folder`, sorted by path. Real folders are walked first, then those behind links that were not seen
 * yet, so each is visited once. `output`: a folder to pass over; NULL: none. A folder below that cannot be read becomes
 * a CL_ENTRY_FAULT. */
coulis_status cl_append_folder(cl_inputs *inputs, const char *folder, const char *output, coulis_error *error);

/* The objects of S3 below `path`, sorted; or the one of that name. `output`: a place to pass over; NULL: none. */
coulis_status cl_append_objects(cl_inputs *inputs, const char *path, const char *output, coulis_error *error);

/* The lines of a list; `path` "-" is standard input. */
coulis_status cl_append_lines(cl_inputs *inputs, const char *path, coulis_error *error);

/* Whether the ending is .csv or .tsv, and the records of such a manifest. */
bool cl_is_delimited(const char *name);
coulis_status cl_append_delimited(cl_inputs *inputs, const char *path, coulis_error *error);

/* The same of .jsonl and .ndjson: a JSON object in each line. */
bool cl_is_json_lines(const char *name);
coulis_status cl_append_json_lines(cl_inputs *inputs, const char *path, coulis_error *error);

/* A file that holds many images, or, when it is a table of paths, what these name. */
coulis_status cl_append_many(cl_inputs *inputs, const char *path, coulis_error *error);
