#include "s3/failure.h"

#include <aws/auth/auth.h>
#include <aws/io/io.h>
#include <aws/s3/s3.h>
#include <stdio.h>

bool cl_s3_between(const char *body, size_t size, const char *name, const char **text, size_t *length) {
    char tag[64];
    const int opening = snprintf(tag, sizeof tag, "<%s>", name);
    const char *from = memmem(body, size, tag, (size_t)opening);
    if (!from) return false;
    from += opening;
    const int closing = snprintf(tag, sizeof tag, "</%s>", name);
    const char *to = memmem(from, size - (size_t)(from - body), tag, (size_t)closing);
    if (!to) return false;
    *text = from;
    *length = (size_t)(to - from);
    return true;
}

static void copy(char *to, size_t size, const char *body, size_t body_size, const char *name) {
    const char *text;
    size_t length;
    if (cl_s3_between(body, body_size, name, &text, &length)) snprintf(to, size, "%.*s", (int)length, text);
}

void cl_s3_answer_read(cl_s3_answer *answer, const char *body, size_t size) {
    copy(answer->code, sizeof answer->code, body, size, "Code");
    copy(answer->message, sizeof answer->message, body, size, "Message");
    if (!answer->region[0]) copy(answer->region, sizeof answer->region, body, size, "Region");
}

/* Whether an error is one of finding keys and signing with them. */
static bool is_of_keys(int code) {
    return code >= AWS_AUTH_SIGNING_UNSUPPORTED_ALGORITHM && code <= AWS_AUTH_ERROR_END_RANGE;
}

bool cl_s3_may_go_better(const cl_s3_answer *a) {
    if (a->no_memory || a->error_code == AWS_ERROR_S3_REQUEST_TIME_TOO_SKEWED) return false;
    if (a->status / 100 == 2) return true; /* the body did not come whole */
    if (a->status >= 500 || a->status == 429 || a->status == 408) return true;
    if (a->status != 0) return false;
    switch (a->error_code) {
    case AWS_IO_DNS_INVALID_NAME:
    case AWS_IO_DNS_QUERY_FAILED:
    case AWS_ERROR_S3_CANCELED: return false;
    default: return !is_of_keys(a->error_code);
    }
}

/* What is not a fault of an object, and what to do about it. %b is the bucket, %r the region in use. */
static const struct {
    const char *code, *sentence;
} known[] = {
    {"NoSuchBucket", "there is no bucket '%b': check its name, and AWS_ENDPOINT_URL if it is not at Amazon"},
    {"InvalidBucketName", "'%b' cannot be the name of a bucket: 3 to 63 lower-case letters, digits or dashes"},
    {"InvalidAccessKeyId", "the access key is not known there: check AWS_ACCESS_KEY_ID, or the profile in ~/.aws"},
    {"XAdminUserNotFound", "the access key is not known there: check AWS_ACCESS_KEY_ID, or the profile in ~/.aws"},
    {"SignatureDoesNotMatch", "the secret key does not belong to the access key: check AWS_SECRET_ACCESS_KEY"},
    {"ExpiredToken", "the session has expired: log in again, or renew AWS_SESSION_TOKEN"},
    {"TokenRefreshRequired", "the session has expired: log in again, or renew AWS_SESSION_TOKEN"},
    {"InvalidToken", "the session token is not valid: check AWS_SESSION_TOKEN; lasting keys need none"},
    {"PermanentRedirect", "the bucket '%b' is in another region than '%r': set AWS_REGION"},
    {"AuthorizationHeaderMalformed", "the bucket '%b' is in another region than '%r': set AWS_REGION"},
    {"IllegalLocationConstraintException", "the bucket '%b' is in another region than '%r': set AWS_REGION"},
    {"QuotaExceeded", "there is no room left in the bucket '%b'"},
    {"AllAccessDisabled", "the bucket '%b' has been closed by its owner or by Amazon"},
};

static coulis_status fail_known(const char *sentence, const char *name, const char *bucket, const char *region,
                                coulis_error *error) {
    char text[300];
    size_t at = 0;
    for (const char *from = sentence; *from && at + 1 < sizeof text; from++) {
        if (from[0] == '%' && (from[1] == 'b' || from[1] == 'r')) {
            const int written = snprintf(text + at, sizeof text - at, "%s", from[1] == 'b' ? bucket : region);
            at += written < (int)(sizeof text - at) ? (size_t)written : sizeof text - at - 1;
            from++;
        } else {
            text[at++] = *from;
        }
    }
    text[at] = '\0';
    return cl_fail(error, COULIS_IO, "%s: %s", name, text);
}

coulis_status cl_s3_fail(const cl_s3_answer *a, const char *name, const char *bucket, const char *region,
                         coulis_error *error) {
    if (a->no_memory) return cl_fail_memory(error, name, 0);
    if (a->error_code == AWS_ERROR_S3_REQUEST_TIME_TOO_SKEWED)
        return cl_fail(error, COULIS_IO,
                       "%s: the clock of this machine is wrong by more than a quarter of an hour: set it", name);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].code, a->code) == 0) return fail_known(known[i].sentence, name, bucket, region, error);
    const char *code = a->code, *colon = a->message[0] ? ": " : "";
    if (a->status == 404) return cl_fail(error, COULIS_MISSING, "%s: S3 has no such object", name);
    if (a->status == 403)
        return cl_fail(error, COULIS_UNREADABLE,
                       "%s: S3 answers 403 %s%s%s: these credentials do not allow this; the "
                       "owner can grant it in the policy of the bucket",
                       name, code, colon, a->message);
    if (a->status / 100 == 2)
        return cl_fail(error, COULIS_IO, "%s: its bytes do not arrive: %s", name, aws_error_str(a->error_code));
    if (a->status != 0)
        return cl_fail(error, a->status >= 500 || a->status == 429 ? COULIS_IO : COULIS_UNREADABLE,
                       "%s: S3 answers %d %s%s%s", name, a->status, code, colon, a->message);
    if (is_of_keys(a->error_code))
        return cl_fail(error, COULIS_IO,
                       "%s: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                       "AWS_PROFILE, or give the machine a role; a bucket that is open to all is read with "
                       "--no-sign-request (%s)",
                       name, aws_error_str(a->error_code));
    return cl_fail(error, COULIS_IO, "%s: no answer: check the network and AWS_ENDPOINT_URL (%s)", name,
                   aws_error_str(a->error_code));
}
