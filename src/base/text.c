#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* Length of the valid UTF-8 character at `s` (1 to 4), 0 when there is none. RFC 3629: no overlong
 * forms, no surrogates, nothing above U+10FFFF. */
static size_t utf8_length(const unsigned char *s) {
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
    size_t length = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) ||
        (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return length;
}

bool cl_is_utf8(const char *text, size_t size) {
    for (size_t at = 0; at < size;) {
        size_t length = utf8_length((const unsigned char *)text + at);
        if (length == 0 || length > size - at) return false;
        at += length;
    }
    return true;
}

int cl_hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *cl_utf8_copy(const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    char *copy = cl_alloc(strlen(text) * 3 + 1, 1); /* U+FFFD takes three bytes */
    if (!copy) return NULL;
    char *out = copy;
    while (*s) {
        size_t length = utf8_length(s);
        if (length) {
            memcpy(out, s, length);
            out += length;
            s += length;
        } else {
            memcpy(out, "\xEF\xBF\xBD", 3);
            out += 3;
            s++;
        }
    }
    *out = '\0';
    return copy;
}

char *cl_format(const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : cl_alloc((size_t)length + 1, 1);
    if (text) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *cl_base64(const void *bytes, size_t size) {
    const uint8_t *in = bytes;
    char *text = cl_alloc((size + 2) / 3 * 4 + 1, 1), *out = text;
    if (!text) return NULL;
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const uint32_t second = left > 1 ? in[i + 1] : 0, third = left > 2 ? in[i + 2] : 0;
        const uint32_t group = (uint32_t)in[i] << 16 | second << 8 | third;
        *out++ = base64_digits[group >> 18];
        *out++ = base64_digits[group >> 12 & 63];
        *out++ = left > 1 ? base64_digits[group >> 6 & 63] : '=';
        *out++ = left > 2 ? base64_digits[group & 63] : '=';
    }
    *out = '\0';
    return text;
}
