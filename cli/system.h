/* What the command asks of the operating system itself. Another platform gets another system.c; all else that depends
 * on it is in the library's src/base. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A descriptor 0 to 2 that is closed would be given to the next file opened, and what is meant for stderr would be
 * written into it. What stands in for it fails when it is used, as it would have. */
bool cli_open_standard_streams(void);

/* From now on the first Ctrl-C, or SIGTERM, is noted and said on stderr; a second one ends the program. Writing to a
 * reader that went away, or beyond the limit of a file's size, is a failed write like any other. */
void cli_catch_interrupt(void);
bool cli_interrupted(void);

/* Whether stderr is a terminal, and the columns of the one that stdout is; 0 when it is none. */
bool cli_errors_are_seen(void);
int cli_terminal_columns(void);

bool cli_is_folder(const char *path);

/* Bytes of a file; negative, with errno, when the machine cannot tell. */
double cli_file_bytes(const char *path);

/* The folder of this program's file; false when it cannot be found. */
bool cli_program_folder(char *path, size_t capacity);
bool cli_is_program(const char *path);

/* Runs a program, looked for in PATH when its name has no slash, without input and output: whether it ended with 0.
 * `arguments` begin with its name and end with NULL. */
bool cli_run_silently(const char *const *arguments);

/* Goes on as another program. Returns only when that fails, with errno. */
void cli_become(const char *const *arguments);

/* Seconds of a clock that only goes forward. */
double cli_seconds(void);
