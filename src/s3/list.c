#include "s3/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "s3/failure.h"
#include "s3/request.h"

/* A page has at most 1,000 objects, of keys of at most 1 KiB, each byte of which may take nine letters. */
#define PAGE_BYTES ((int64_t)16 << 20)

/* What the text of an element stands for, into fresh memory; NULL: no memory. */
static char *unescape(const char *text, size_t length) {
    static const struct {
        const char *name;
        char letter;
    } names[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    char *made = cl_alloc(length + 1, 1), *to = made;
    for (size_t i = 0; made && i < length;) {
        size_t taken = 0;
        for (size_t n = 0; n < sizeof names / sizeof *names && !taken; n++) {
            const size_t size = strlen(names[n].name);
            if (length - i < size || memcmp(text + i, names[n].name, size) != 0) continue;
            *to++ = names[n].letter;
            taken = size;
        }
        const char *end = !taken && length - i > 3 && text[i] == '&' && text[i + 1] == '#'
                              ? memchr(text + i, ';', length - i)
                              : NULL;
        if (end) { /* only ASCII is written so where keys are encoded */
            const bool hexadecimal = text[i + 2] == 'x';
            *to++ = (char)strtol(text + i + (hexadecimal ? 3 : 2), NULL, hexadecimal ? 16 : 10);
            taken = (size_t)(end + 1 - (text + i));
        }
        if (!taken) *to++ = text[i++];
        i += taken;
    }
    if (made) *to = '\0';
    return made;
}

/* Resolves %XX, and + for a blank, in place. */
static void decode(char *text) {
    char *to = text;
    for (const char *from = text; *from; from++) {
        const int high = *from == '%' ? cl_hex_digit(from[1]) : -1, low = high < 0 ? -1 : cl_hex_digit(from[2]);
        if (low >= 0) {
            *to++ = (char)(high * 16 + low);
            from += 2;
        } else {
            *to++ = *from == '+' ? ' ' : *from;
        }
    }
    *to = '\0';
}

static int64_t time_of(const char *text, size_t length) {
    char copy[40];
    struct tm when = {0};
    snprintf(copy, sizeof copy, "%.*s", (int)length, text);
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &when);
    if (!rest) return INT64_MIN;
    const double fraction = *rest == '.' ? strtod(rest, NULL) : 0;
    return (int64_t)timegm(&when) * 1000000 + (int64_t)(fraction * 1e6);
}

typedef struct page {
    const char *name;
    bool encoded;
    int64_t given, limit;
    coulis_status (*each)(void *context, const cl_remote_object *object, coulis_error *error);
    void *context;
} page;

static coulis_status take_object(page *p, const char *body, size_t size, coulis_error *error) {
    const char *text;
    size_t length;
    cl_remote_object object = {.bytes = -1, .modified = INT64_MIN};
    if (!cl_s3_between(body, size, "Key", &text, &length))
        return cl_fail(error, COULIS_IO, "%s: the server's listing has an object without a key", p->name);
    char *key = unescape(text, length);
    if (!key) return cl_fail_memory(error, p->name, length);
    if (p->encoded) decode(key);
    object.key = key;
    if (cl_s3_between(body, size, "Size", &text, &length)) object.bytes = strtoll(text, NULL, 10);
    if (cl_s3_between(body, size, "LastModified", &text, &length)) object.modified = time_of(text, length);
    coulis_status status = p->each(p->context, &object, error);
    cl_free(key);
    return status;
}

/* The objects of one page, and where the next begins; NULL in *next after the last. */
static coulis_status take_page(page *p, const char *body, size_t size, char **next, coulis_error *error) {
    const char *text;
    size_t length;
    *next = NULL;
    if (!cl_s3_between(body, size, "IsTruncated", &text, &length))
        return cl_fail(error, COULIS_IO, "%s: the server answers with something that is not a listing", p->name);
    const bool more = length == 4 && memcmp(text, "true", 4) == 0;
    p->encoded = cl_s3_between(body, size, "EncodingType", &text, &length) && length == 3;
    if (more && cl_s3_between(body, size, "NextContinuationToken", &text, &length)) {
        *next = unescape(text, length);
        if (!*next) return cl_fail_memory(error, p->name, length);
    } else if (more) {
        return cl_fail(error, COULIS_IO, "%s: the server's listing breaks off", p->name);
    }
    coulis_status status = COULIS_OK;
    for (const char *at = body; !status && (p->limit == 0 || p->given < p->limit); p->given++) {
        if (!cl_s3_between(at, size - (size_t)(at - body), "Contents", &text, &length)) break;
        status = take_object(p, text, length, error);
        at = text + length;
    }
    return status;
}

/* The query of a page; takes `token` over. */
static char *query_of(const char *prefix, char *token) {
    char *encoded = cl_s3_encode(prefix, false), *from = token ? cl_s3_encode(token, false) : NULL;
    char *query = NULL;
    if (encoded && (from || !token))
        query = cl_format("%s%s%sencoding-type=url&list-type=2&max-keys=1000&prefix=%s",
                          from ? "continuation-token=" : "", from ? from : "", from ? "&" : "", encoded);
    cl_free(encoded);
    cl_free(from);
    cl_free(token);
    return query;
}

coulis_status cl_s3_list(cl_s3_state *s, const char *name, int64_t limit,
                         coulis_status (*each)(void *context, const cl_remote_object *object, coulis_error *error),
                         void *context, coulis_error *error) {
    cl_s3_address address;
    coulis_status status = cl_s3_address_read(name, &address, error);
    if (status) return status;
    page p = {.name = name, .limit = limit, .each = each, .context = context};
    char *next = NULL;
    do {
        cl_fetch fetch = {.name = name, .max_bytes = PAGE_BYTES, .first = -1, .total = -1};
        char *query = query_of(address.key, next);
        next = NULL;
        const cl_s3_request request = {.name = name,
                                       .method = "GET",
                                       .operation = "ListObjectsV2",
                                       .query = query,
                                       .type = AWS_S3_META_REQUEST_TYPE_DEFAULT,
                                       .fetch = &fetch};
        status = query ? cl_s3_send(s, &request, &address, false, error) : cl_fail_memory(error, name, 0);
        if (!status) status = take_page(&p, (const char *)fetch.bytes, fetch.size, &next, error);
        cl_fetch_clear(&fetch);
        cl_free(query);
    } while (!status && next && (limit == 0 || p.given < limit));
    cl_free(next);
    cl_free(address.bucket);
    return status;
}
