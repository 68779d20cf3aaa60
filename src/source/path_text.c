#include "source/path_text.h"

char *cl_path_text(const char *path) {
    static const char digits[] = "0123456789ABCDEF";
    char *copy = cl_utf8_copy(path);
    if (!copy || strcmp(copy, path) == 0) return copy;
    cl_free(copy);
    char *text = cl_alloc(strlen(path), 3), *full = NULL;
    if (!text) return NULL;
    char *to = text;
    for (const unsigned char *byte = (const unsigned char *)path; *byte; byte++) {
        if (*byte > 0x20 && *byte < 0x7F && *byte != '%' && *byte != '?' && *byte != '#') {
            *to++ = (char)*byte;
            continue;
        }
        *to++ = '%';
        *to++ = digits[*byte >> 4];
        *to++ = digits[*byte & 15];
    }
    full = cl_format("file:%.*s", (int)(to - text), text);
    cl_free(text);
    return full;
}

char *cl_path_of_text(const char *text, bool *is_file) {
    *is_file = strncmp(text, "file:", 5) == 0;
    if (!*is_file) return NULL;
    text += 5;
    if (strncmp(text, "//", 2) == 0) text += 2 + strcspn(text + 2, "/"); /* file://host/path */
    char *path = cl_alloc(strlen(text) + 1, 1), *to = path;
    if (!path) return NULL;
    while (*text) {
        int high = *text == '%' ? cl_hex_digit(text[1]) : -1, low = high >= 0 ? cl_hex_digit(text[2]) : -1;
        if (low >= 0 && (high | low) != 0) {
            *to++ = (char)(high << 4 | low);
            text += 3;
        } else {
            *to++ = *text++;
        }
    }
    *to = '\0';
    return path;
}
