/* Folders of the program's own: where they are, locking one, removing one with all that is in it. */
#pragma once

#include "base/base.h"

/* Locks a folder for as long as *descriptor is open; the lock goes with the process, however it ends. COULIS_CONFLICT
 * when another process has it, and COULIS_IO. */
coulis_status cl_folder_lock(const char *path, int *descriptor, coulis_error *error);
void cl_folder_unlock(int *descriptor);

/* Makes a folder that nobody else has, below `parent`, which is made where it is missing. Released with cl_free. */
coulis_status cl_folder_own(const char *parent, char **path, coulis_error *error);

/* Removes a folder with all that is in it; links are removed, not followed. One that is not there is no error. */
coulis_status cl_folder_remove(const char *path, coulis_error *error);

/* Removes a folder if nothing is in it; what a person put there stays, and so does the folder then. */
coulis_status cl_folder_remove_empty(const char *path, coulis_error *error);

/* Where the user's programs keep what they can make again: $XDG_CACHE_HOME/coulis, else ~/.cache/coulis, and `below`
 * in it. Released with cl_free. COULIS_MISSING when there is no such place. */
coulis_status cl_folder_cache(const char *below, char **path, coulis_error *error);

/* The same in two texts, the first of which is returned; NULL when there is no such place. */
const char *cl_cache_start(const char **between);

/* 32 hexadecimal digits that nobody has had before. */
#define CL_RANDOM_NAME 33
coulis_status cl_random_name(char name[CL_RANDOM_NAME], coulis_error *error);
