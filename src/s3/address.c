/* Names of objects as S3 wants them in requests. */
#include <ctype.h>

#include "s3/request.h"

coulis_status cl_s3_address_read(const char *text, cl_s3_address *address, coulis_error *error) {
    const char *bucket = strstr(text, "://");
    bucket = bucket ? bucket + 3 : "";
    const size_t length = strcspn(bucket, "/");
    bool good = length > 0 && length <= 255;
    for (size_t i = 0; i < length; i++) good = good && (isalnum((unsigned char)bucket[i]) || strchr("-._", bucket[i]));
    if (!good)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "%s: is not an S3 address; it should look like s3://bucket/folder", text);
    address->bucket = cl_format("%.*s", (int)length, bucket);
    address->key = bucket + length + (bucket[length] == '/');
    return address->bucket ? COULIS_OK : cl_fail_memory(error, text, length);
}

char *cl_s3_encode(const char *text, bool slashes) {
    static const char hex[] = "0123456789ABCDEF";
    char *encoded = cl_alloc(strlen(text) * 3 + 1, 1), *to = encoded;
    if (!encoded) return NULL;
    for (const unsigned char *from = (const unsigned char *)text; *from; from++) {
        if ((*from < 128 && isalnum(*from)) || strchr("-._~", *from) || (slashes && *from == '/')) {
            *to++ = (char)*from;
        } else {
            *to++ = '%';
            *to++ = hex[*from >> 4];
            *to++ = hex[*from & 15];
        }
    }
    *to = '\0';
    return encoded;
}

/* Whether a bucket's name can be part of a server's, for which TLS has certificates. */
static bool is_host(const char *bucket) {
    for (const char *at = bucket; *at; at++)
        if (!islower((unsigned char)*at) && !isdigit((unsigned char)*at) && *at != '-') return false;
    return strlen(bucket) >= 3 && strlen(bucket) <= 63;
}

coulis_status cl_s3_place(cl_s3_state *s, const char *bucket, char **server, char **path, coulis_error *error) {
    const char *region = cl_s3_region(s, bucket), *china = strncmp(region, "cn-", 3) == 0 ? ".cn" : "";
    if (s->endpoint) { /* a path in it comes before the bucket */
        const char *host = strstr(s->endpoint, "://") + 3, *rest = host + strcspn(host, "/");
        *server = cl_format("%.*s", (int)(rest - s->endpoint), s->endpoint);
        *path = cl_format("%s/%s", rest, bucket);
    } else if (is_host(bucket)) {
        *server = cl_format("https://%s.s3.%s.amazonaws.com%s", bucket, region, china);
        *path = cl_strdup("");
    } else {
        *server = cl_format("https://s3.%s.amazonaws.com%s", region, china);
        *path = cl_format("/%s", bucket);
    }
    if (*server && *path) return COULIS_OK;
    cl_free(*server);
    cl_free(*path);
    return cl_fail_memory(error, bucket, 0);
}
