#include "source/location.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "image/image.h"

bool cl_location_has_scheme(const char *name) {
    size_t length = 0; /* RFC 3986: a letter, then letters, digits, plus, dot and minus */
    if (!isalpha((unsigned char)name[0])) return false;
    while (isalnum((unsigned char)name[length]) || (name[length] && strchr("+.-", name[length]))) length++;
    return strncmp(name + length, "://", 3) == 0;
}

coulis_status cl_location_read(const char *name, int64_t max_bytes, uint8_t **bytes, size_t *size,
                               cl_file_state *state, coulis_error *error) {
    if (state) *state = (cl_file_state){0};
    if (cl_location_has_scheme(name))
        return cl_fail(error, COULIS_UNREADABLE, "%s cannot be read: '%.*s' is not served", name,
                       (int)(strstr(name, "://") + 3 - name), name);
    return cl_image_read_file(name, max_bytes, bytes, size, state, error);
}
