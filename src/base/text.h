/* Strings: valid UTF-8, printf into fresh memory, base64. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether `size` bytes, behind which stands a NUL, are valid UTF-8. */
bool cl_is_utf8(const char *text, size_t size);

/* A copy of `text` in which every byte that is not part of valid UTF-8 is replaced by U+FFFD, since
 * file names may be any bytes and tables hold UTF-8. NULL when memory is short; released with cl_free. */
char *cl_utf8_copy(const char *text);

/* A printf into fresh memory; NULL when memory is short; released with cl_free. */
__attribute__((format(printf, 1, 2))) char *cl_format(const char *format, ...);

/* What a hexadecimal digit stands for; -1 for any other letter. */
int cl_hex_digit(char letter);

/* Base64 (RFC 4648); NULL when memory is short; released with cl_free. */
char *cl_base64(const void *bytes, size_t size);
