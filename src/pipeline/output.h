/* The folder a job writes: who may write there, what is done already, and its run.json. */
#pragma once

#include "pipeline/output_files.h"

/* How a folder is opened. */
typedef struct cl_output_wish {
    const char *recipe; /* JSON */
    const char *root;   /* the folder to which relative paths of the inputs refer, NULL when there are none */
    bool overwrite;
    bool grow;   /* a result of other images may be there: cl_output.grows says so */
    bool reopen; /* one that is complete is taken for one under way: images may have changed since */
} cl_output_wish;

/* Makes the folder if need be, locks it, ends a replacement that was interrupted (replace.h), and compares the recipe
 * with that in its run.json:
 *
 *   no run.json           the folder must be empty, unfinished writes of run.json aside; one with `recipe` is written
 *   the same recipe       what is there is kept, left-over temporary files are removed
 *   the same but for its "components", and PCA not yet fitted    likewise
 *   the same but for the images, and `grow`    nothing is touched
 *   another, or another `root`    COULIS_CONFLICT
 *   `overwrite`           run.json is taken away first, then the files that coulis wrote (overwrite.h) */
coulis_status cl_output_open(const char *folder, const cl_output_wish *wish, cl_output *output, coulis_error *error);

/* The same without changing anything: of a folder that is not there, or has no run.json, nothing is known. */
coulis_status cl_output_look(const char *folder, const cl_output_wish *wish, cl_output *output, coulis_error *error);
/* Ends a replacement that was interrupted, if the folder is there and one was. */
coulis_status cl_output_settle(const char *folder, coulis_error *error);

void cl_output_close(cl_output *output);

/* Writes the final run.json; then the journal is not needed any more. */
coulis_status cl_output_finish(cl_output *output, const char *summary, coulis_error *error);
