/* The folder a job writes: who may write there, what is done already, and its run.json. */
#ifndef CL_PIPELINE_OUTPUT_H
#define CL_PIPELINE_OUTPUT_H

#include <stdbool.h>

#include "coulis.h"

typedef struct cl_output {
    char *folder;
    char *features, *reduced, *pca, *run; /* paths in it */
    int lock;                             /* descriptor of the folder, locked */
    bool complete;                        /* run.json says the job of this recipe is done */
    char *summary;                        /* then its content */
} cl_output;

/* Makes the folder if need be, locks it, and compares `recipe` with that in its run.json:
 *
 *   no run.json           the folder must be empty, unfinished writes of run.json aside; one with `recipe` is written
 *   the same recipe       what is there is kept, left-over temporary files are removed
 *   the same but for its "components", and PCA not yet fitted    likewise
 *   another, or `overwrite`    COULIS_CONFLICT; with `overwrite` the results (and nothing else) are removed first
 */
coulis_status cl_output_open(const char *folder, const char *recipe, bool overwrite, cl_output *output,
                             coulis_error *error);
void cl_output_close(cl_output *output);

/* Removes a folder of parts, nothing but files named part-NNNNN.parquet and their temporary ones. A folder
 * that is not there is no error. */
coulis_status cl_output_remove_parts(const char *folder, coulis_error *error);

/* The path of part `number` in `folder`; NULL when memory is short; released with cl_free. */
char *cl_part_path(const char *folder, int64_t number);

bool cl_path_exists(const char *path);

#endif
