/* Paths as text: a table holds UTF-8, and file names may be any bytes. */
#pragma once

#include "base/base.h"

/* The path as it is, when it is UTF-8; else "file:" and the path with each byte that is not plain ASCII, and each %, as
 * %XX. So every row names its file, and opens it again. NULL when memory is short; released with cl_free. */
char *cl_path_text(const char *path);

/* The path that a text "file:...", with or without a host, stands for, its %XX resolved; NULL when memory is short, or
 * when `text` begins otherwise, which *is_file says; released with cl_free. */
char *cl_path_of_text(const char *text, bool *is_file);
