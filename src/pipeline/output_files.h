/* The files in the folder a job writes. */
#pragma once

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

/* Removes the PCA and the scores, for good: the vectors are about to change, or to be reduced anew. */
coulis_status cl_output_forget_pca(cl_output *output, coulis_error *error);

/* Removes the parts of one kind that are written down, and their folder when nothing else is in it. */
coulis_status cl_output_remove_parts(cl_output *output, cl_kind kind, coulis_error *error);

/* Whether a name is that of a write to the folder itself that was not finished. */
bool cl_output_is_left_over(const char *name);

/* Removes from `folder` what an unfinished write left, and with `pieces` those of unfinished parts (making.h). A folder
 * that is not there is no error. */
coulis_status cl_output_sweep(const char *folder, bool pieces, coulis_error *error);

/* The path of part `number` in `folder`; NULL when memory is short; released with cl_free. */
char *cl_part_path(const char *folder, int64_t number);

/* Whether it is there, where a machine that cannot tell must not be taken for no. */
coulis_status cl_path_there(const char *path, bool *there, coulis_error *error);

/* COULIS_CONFLICT where a file is that is to be written. */
coulis_status cl_refuse_existing(const char *path, coulis_error *error);
