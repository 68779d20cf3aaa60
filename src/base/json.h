/* Texts of JSON, where a text that is not JSON must be told from memory that was short: cJSON tells neither. */
#pragma once

#include <cjson/cJSON.h>

#include "base/base.h"

/* The `length` bytes of `text` as JSON, and in `end`, which may be NULL, what follows it. NULL where it is none or
 * memory is short, and `short_of_memory` says which. */
cJSON *cl_json_parse(const char *text, size_t length, const char **end, bool *short_of_memory);

/* Print and release a value, in one line, indented, and indented with a line break behind it as in a file. NULL where
 * `good`, whether it was put together without running out of memory, is false, or memory is short now; released with
 * cl_free. */
char *cl_json_line(cJSON *value, bool good);
char *cl_json_indented(cJSON *value, bool good);
char *cl_json_page(cJSON *value, bool good);
