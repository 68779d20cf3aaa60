#include "source/tar_header.h"

#include <stdlib.h>

#define BLOCK 512
/* Of a pax header or a long name: what no archive needs more of. */
#define EXTENSION_MAX ((uint64_t)1 << 20)
#define EXTENSIONS_MAX 64 /* of one member: an archive of nothing else must come to an end */

/* Fields of a header block: offset and length, POSIX.1-2017, pax, "ustar Interchange Format". */
enum { NAME = 0, SIZE = 124, TIME = 136, CHECK_SUM = 148, TYPE = 156, LINK = 157, MAGIC = 257, PREFIX = 345 };

/* What pax headers and GNU's long names say of the member that follows. */
typedef struct extension {
    char *name, *link;
    uint64_t size;
    int64_t modified;
    int has_size, has_modified;
} extension;

static void release(extension *e) {
    cl_free(e->name);
    cl_free(e->link);
    *e = (extension){0};
}

static coulis_status damaged(const char *archive, const char *what, coulis_error *error) {
    return cl_fail(error, COULIS_BAD_DATA, "%s: is a damaged tar archive: %s", archive, what);
}

/* An octal number, or GNU's base 256 when the first bit is set; 0 when it makes no sense. */
static bool read_number(const uint8_t *field, size_t length, uint64_t *number) {
    *number = 0;
    if (field[0] & 0x80) {
        for (size_t i = 0; i < length; i++) {
            if (*number >> 56) return false;
            *number = *number << 8 | (i == 0 ? field[i] & 0x7Fu : field[i]);
        }
        return *number <= INT64_MAX;
    }
    size_t i = 0;
    while (i < length && field[i] == ' ') i++;
    for (; i < length && field[i] >= '0' && field[i] <= '7'; i++) *number = *number << 3 | (uint64_t)(field[i] - '0');
    return i == length || field[i] == ' ' || field[i] == '\0';
}

static bool check_sum_is_right(const uint8_t *block) {
    uint64_t said;
    uint32_t sum = 0;
    int32_t with_sign = 0; /* as old programs summed */
    for (int i = 0; i < BLOCK; i++) {
        uint8_t byte = i >= CHECK_SUM && i < CHECK_SUM + 8 ? ' ' : block[i];
        sum += byte;
        with_sign += (int8_t)byte;
    }
    return read_number(block + CHECK_SUM, 8, &said) && (said == sum || said == (uint32_t)with_sign);
}

/* The body of an extension, with a NUL behind it. */
static coulis_status read_body(cl_flow *flow, const char *archive, uint64_t size, char **body, coulis_error *error) {
    size_t got = 0;
    uint8_t *text = NULL;
    if (size > EXTENSION_MAX) return damaged(archive, "an extended header is too long", error);
    coulis_status status = cl_flow_take(flow, (size_t)size, &text, &got, error);
    if (!status && got < size) status = damaged(archive, "it is cut short", error);
    if (!status) status = cl_flow_skip(flow, cl_tar_padding(size), error);
    if (status) {
        cl_free(text);
        return status;
    }
    *body = (char *)text;
    return COULIS_OK;
}

static coulis_status keep(char **to, const char *text, size_t length, coulis_error *error) {
    cl_free(*to);
    *to = cl_format("%.*s", (int)length, text);
    return *to ? COULIS_OK : cl_fail_memory(error, "a name", length);
}

/* Records "length key=value\n" of a pax header. */
static coulis_status read_pax(const char *archive, const char *body, size_t size, extension *e, coulis_error *error) {
    coulis_status status = COULIS_OK;
    for (const char *at = body, *end = body + size; at < end && !status;) {
        char *key;
        unsigned long long length = strtoull(at, &key, 10);
        if (*key != ' ' || length > (size_t)(end - at) || length < (size_t)(key - at) + 4 || at[length - 1] != '\n')
            return damaged(archive, "a pax header is malformed", error);
        const char *stop = at + length - 1, *value = NULL;
        key++;
        value = memchr(key, '=', (size_t)(stop - key));
        if (!value) return damaged(archive, "a pax header is malformed", error);
        size_t name = (size_t)(value++ - key), rest = (size_t)(stop - value);
        if (name == 4 && memcmp(key, "path", 4) == 0) status = keep(&e->name, value, rest, error);
        else if (name == 8 && memcmp(key, "linkpath", 8) == 0) status = keep(&e->link, value, rest, error);
        else if (name == 4 && memcmp(key, "size", 4) == 0) {
            e->size = strtoull(value, NULL, 10);
            e->has_size = 1;
        } else if (name == 5 && memcmp(key, "mtime", 5) == 0) {
            double seconds = strtod(value, NULL);
            e->has_modified = seconds > -1e12 && seconds < 1e12;
            if (e->has_modified) e->modified = (int64_t)(seconds * 1e6);
        }
        at += length;
    }
    return status;
}

/* "./red/1.jpg", as tar writes what is below ".", is "red/1.jpg": folders are counted and matched without the dot. */
static void strip(char *name) {
    const char *at = name;
    while (at[0] == '/' || (at[0] == '.' && at[1] == '/')) at += at[0] == '.' ? 2 : 1;
    memmove(name, at, strlen(at) + 1);
}

/* A member's own header, over what extensions said of it. */
static coulis_status finish(const char *archive, const uint8_t *block, extension *e, cl_tar_member *member,
                            coulis_error *error) {
    uint64_t size, seconds;
    const char *name = (const char *)block + NAME, *prefix = (const char *)block + PREFIX;
    if (!read_number(block + SIZE, 12, &size)) return damaged(archive, "a size is not a number", error);
    if (e->has_size) size = e->size;
    if (size > INT64_MAX) return damaged(archive, "a size is not a number", error);
    const char type = (char)block[TYPE];
    const int link = type == '1' || type == '2';
    if (!e->name && memcmp(block + MAGIC, "ustar", 6) == 0 && *prefix) /* with the NUL: GNU has a blank there */
        e->name = cl_format("%.155s/%.100s", prefix, name);
    else if (!e->name) e->name = cl_format("%.100s", name);
    if (link && !e->link) e->link = cl_format("%.100s", (const char *)block + LINK);
    if (!e->name || (link && !e->link)) return cl_fail_memory(error, "a name", BLOCK);
    strip(e->name);
    *member = (cl_tar_member){.name = e->name,
                              .link = link ? e->link : NULL,
                              .size = link ? 0 : size,
                              .modified = INT64_MIN,
                              .file = link || type == '0' || type == '\0' || type == '7'};
    if (e->has_modified) member->modified = e->modified;
    else if (read_number(block + TIME, 12, &seconds) && seconds < (uint64_t)1 << 40)
        member->modified = (int64_t)seconds * 1000000;
    if (!link) cl_free(e->link);
    *e = (extension){0};
    return COULIS_OK;
}

static bool is_empty(const uint8_t *block) {
    for (int i = 0; i < BLOCK; i++)
        if (block[i]) return false;
    return true;
}

coulis_status cl_tar_next(cl_flow *flow, const char *archive, cl_tar_member *member, coulis_error *error) {
    uint8_t block[BLOCK];
    extension e = {0};
    coulis_status status;
    *member = (cl_tar_member){0};
    for (int extensions = 0;; extensions++) {
        size_t got;
        status = cl_flow_read(flow, block, BLOCK, &got, error);
        if (status || got == 0 || (got == BLOCK && is_empty(block))) break; /* the end of the archive */
        if (got < BLOCK) status = damaged(archive, "it is cut short", error);
        else if (!check_sum_is_right(block)) status = damaged(archive, "the check sum of a header is wrong", error);
        const char type = (char)block[TYPE];
        if (status) break;
        if (type != 'x' && type != 'g' && type != 'L' && type != 'K') {
            status = finish(archive, block, &e, member, error);
            break;
        }
        uint64_t size;
        char *body = NULL;
        if (extensions == EXTENSIONS_MAX) status = damaged(archive, "a member has too many extended headers", error);
        else if (!read_number(block + SIZE, 12, &size)) status = damaged(archive, "a size is not a number", error);
        else status = read_body(flow, archive, size, &body, error);
        if (!status && type == 'x') status = read_pax(archive, body, (size_t)size, &e, error);
        else if (!status && type == 'L') status = keep(&e.name, body, strlen(body), error);
        else if (!status && type == 'K') status = keep(&e.link, body, strlen(body), error);
        cl_free(body);
        if (status) break;
    }
    release(&e);
    return status;
}

void cl_tar_member_free(cl_tar_member *member) {
    cl_free(member->name);
    cl_free(member->link);
    *member = (cl_tar_member){0};
}
