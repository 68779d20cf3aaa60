/* The inputs of a job: which pictures, in which order. */
#ifndef CL_PIPELINE_LIST_H
#define CL_PIPELINE_LIST_H

#include "coulis.h"

typedef struct cl_list cl_list;

/* Lists `paths`, each a picture, a folder (every regular file below it, sorted by path; names that begin
 * with a dot are passed over, links are followed) or @list.txt (a path a line, blank lines passed over). The folder
 * `output`, where there is one of that name, is passed over too: it may lie among the pictures. A path or
 * folder that is not there, or no input at all, is COULIS_INVALID_ARGUMENT, COULIS_MISSING or COULIS_IO. */
coulis_status cl_list_create(const char *const *paths, int64_t count, const char *output, cl_list **list,
                             coulis_error *error);
void cl_list_free(cl_list *list);

int64_t cl_list_count(const cl_list *list);
const char *cl_list_path(const cl_list *list, int64_t i);

/* SHA-256 over all paths in order, in hexadecimal: two jobs with the same digest have the same rows. */
const char *cl_list_sha256(const cl_list *list);

/* The name of the folder the file lies in, "" when the path names none. `length` gets its length. */
const char *cl_label_of(const char *path, size_t *length);

#endif
