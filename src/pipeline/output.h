/* The folder a job writes: who may write there, what is done already, and its run.json. */
#ifndef CL_PIPELINE_OUTPUT_H
#define CL_PIPELINE_OUTPUT_H

#include <stdbool.h>

#include "pipeline/parts.h"

typedef struct cl_output {
    char *folder;
    char *features, *reduced, *pca, *run; /* paths in it */
    int lock;                             /* descriptor of the folder, locked */
    bool complete;                        /* run.json says the job of this recipe is done, and its files are there */
    char *summary;                        /* the content of a run.json that says that its job is done, or NULL */
    char *root;                           /* folder to which the inputs' relative paths refer, NULL for none */
    cl_parts parts;                       /* what already exists, and what this run adds */
    bool grows;       /* the result there is of other images, or with another choice of the PCA; it was not touched */
    bool same_images; /* the list of images is the same */
    bool unfinished;  /* of a result that is there: its job has not come to its end */
    char *earlier;    /* the recipe of its vectors */
} cl_output;

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

/* Removes the PCA and the scores, for good: the vectors are about to change, or to be reduced anew. */
coulis_status cl_output_forget_pca(cl_output *output, coulis_error *error);

/* Writes the final run.json; then the journal is not needed any more. */
coulis_status cl_output_finish(cl_output *output, const char *summary, coulis_error *error);

/* Removes the parts of one kind that are written down, and their folder when nothing else is in it. */
coulis_status cl_output_remove_parts(cl_output *output, cl_kind kind, coulis_error *error);

/* Removes from `folder` what an unfinished write left, and with `pieces` those of unfinished parts (making.h). A folder
 * that is not there is no error. */
coulis_status cl_output_sweep(const char *folder, bool pieces, coulis_error *error);

/* The path of part `number` in `folder`; NULL when memory is short; released with cl_free. */
char *cl_part_path(const char *folder, int64_t number);

/* Whether it is there, where a machine that cannot tell must not be taken for no. */
coulis_status cl_path_there(const char *path, bool *there, coulis_error *error);

/* COULIS_CONFLICT where a file is that is to be written. */
coulis_status cl_refuse_existing(const char *path, coulis_error *error);

#endif
