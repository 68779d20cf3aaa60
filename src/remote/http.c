#include "remote/http.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/sync.h"
#include "remote/curl.h"
#include "remote/hosts.h"

#define REDIRECTS_MAX 10
/* Of an answer that is not an image nothing is read, but for so little that the connection can be used again. */
#define REST_MAX 65536
#define WITNESS_TRIES 3

/* A handle keeps its connections open for the next request. */
typedef struct handle {
    void *curl;
    struct handle *next;
} handle;

struct cl_http {
    cl_curl curl;
    cl_stop *stop;
    cl_hosts hosts;
    cl_mutex mutex;
    handle *idle;
    const char *authorities; /* a file of certificates, as the program curl takes it from the environment; or NULL */
};

/* One request and its answer. */
typedef struct answer {
    cl_http *http;
    cl_fetch *fetch;
    void *curl;
    int code;     /* CURLcode */
    long status;  /* of HTTP; 0 when there was no answer */
    int64_t rest; /* bytes thrown away */
    bool no_memory, too_large, no_parts;
    int64_t claimed; /* bytes that the header says there are; -1 */
    char *redirect;  /* where to instead; released with cl_free */
    double wait;
    long number; /* errno of a connection that failed */
    char text[CL_CURL_ERROR_SIZE];
} answer;

coulis_status cl_http_create(cl_stop *stop, cl_http **out, coulis_error *error) {
    cl_http *http = cl_alloc_zero(1, sizeof *http);
    if (!http) return cl_fail_memory(error, "connections", sizeof *http);
    http->stop = stop;
    coulis_status status = cl_curl_load(&http->curl, error);
    if (status) {
        cl_free(http);
        return status;
    }
    http->authorities = getenv("CURL_CA_BUNDLE");
    if (!http->authorities || !*http->authorities) http->authorities = getenv("SSL_CERT_FILE");
    if (http->authorities && !*http->authorities) http->authorities = NULL;
    cl_mutex_init(&http->mutex);
    cl_hosts_begin(&http->hosts);
    *out = http;
    return COULIS_OK;
}

void cl_http_free(cl_http *http) {
    if (!http) return;
    while (http->idle) {
        handle *first = http->idle;
        http->idle = first->next;
        http->curl.easy_cleanup(first->curl);
        cl_free(first);
    }
    cl_hosts_end(&http->hosts);
    cl_mutex_destroy(&http->mutex);
    cl_free(http);
}

/* ---- what libcurl calls ---- */

static bool is_body(const answer *a) { return a->status == 200 || a->status == 206; }

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
    answer *a = context;
    if (a->status == 0) a->http->curl.easy_getinfo(a->curl, CL_CURL_RESPONSE_CODE, &a->status);
    if (!is_body(a)) return (a->rest += (int64_t)(size * count)) > REST_MAX ? 0 : size * count;
    const bool whole = a->fetch->first >= 0 && a->status == 200; /* though a part was asked for: small ones will do */
    if (whole && a->fetch->first > 0) a->no_parts = true;
    if (!a->no_parts && cl_fetch_append(a->fetch, bytes, size * count, &a->no_memory)) return size * count;
    if (whole && !a->no_memory) a->no_parts = true;
    else a->too_large = !a->no_memory;
    return 0;
}

/* The number in a header `name` (lower case, with its colon), behind `before`; -1 when it is another header. */
static int64_t number_of(const char *line, size_t length, const char *name, char before) {
    char copy[128];
    if (length >= sizeof copy || strncasecmp(line, name, strlen(name)) != 0) return -1;
    memcpy(copy, line, length);
    copy[length] = '\0';
    const char *at = strchr(copy + strlen(name) - 1, before);
    if (at) at += 1 + strspn(at + 1, " ");
    return at && isdigit((unsigned char)*at) ? strtoll(at, NULL, 10) : -1;
}

/* Of a part: how large the whole is, "Content-Range: bytes 0-9/100". And what is too large is not waited for. */
static size_t take_header(char *bytes, size_t size, size_t count, void *context) {
    answer *a = context;
    const int64_t total = number_of(bytes, size * count, "content-range:", '/');
    const int64_t length = number_of(bytes, size * count, "content-length:", ':');
    if (total >= 0) a->fetch->total = total;
    if (length < 0) return size * count;
    a->http->curl.easy_getinfo(a->curl, CL_CURL_RESPONSE_CODE, &a->status);
    if (!is_body(a) || length <= a->fetch->max_bytes) return size * count;
    a->claimed = length;
    a->no_parts = a->fetch->first >= 0;
    a->too_large = !a->no_parts;
    return 0;
}

static int look_at_stop(void *context, int64_t a, int64_t b, int64_t c, int64_t d) {
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&((const answer *)context)->http->stop->is_set);
}

/* ---- one request ---- */

/* A name as it may stand in a request: what no address has is written as %XX, what has been written so stays. */
static char *address_of(const char *name) {
    static const char hex[] = "0123456789ABCDEF";
    char *address = cl_alloc(strlen(name) * 3 + 1, 1), *to = address;
    if (!address) return NULL;
    for (const unsigned char *from = (const unsigned char *)name; *from; from++) {
        if (*from > ' ' && *from < 127 && !strchr("\"<>\\^`{|}", *from)) {
            *to++ = (char)*from;
        } else {
            *to++ = '%';
            *to++ = hex[*from >> 4];
            *to++ = hex[*from & 15];
        }
    }
    *to = '\0';
    return address;
}

static handle *take_handle(cl_http *http) {
    cl_mutex_lock(&http->mutex);
    handle *taken = http->idle;
    if (taken) http->idle = taken->next;
    cl_mutex_unlock(&http->mutex);
    if (taken) return taken;
    taken = cl_alloc_zero(1, sizeof *taken);
    if (taken && (taken->curl = http->curl.easy_init())) return taken;
    cl_free(taken);
    return NULL;
}

static void give_back(cl_http *http, handle *taken) {
    cl_mutex_lock(&http->mutex);
    taken->next = http->idle;
    http->idle = taken;
    cl_mutex_unlock(&http->mutex);
}

static bool set_up(answer *a, const char *address) {
    const cl_curl *curl = &a->http->curl;
    char range[64];
    snprintf(range, sizeof range, "%lld-%lld", (long long)a->fetch->first,
             (long long)(a->fetch->first + a->fetch->max_bytes - 1));
    int (*set)(void *, int, ...) = curl->easy_setopt;
    return !set(a->curl, CL_CURL_URL, address) && !set(a->curl, CL_CURL_ERRORBUFFER, a->text) &&
           !set(a->curl, CL_CURL_PROTOCOLS, (long)(CL_CURL_HTTP | CL_CURL_HTTPS)) &&
           !set(a->curl, CL_CURL_NOSIGNAL, 1L) && !set(a->curl, CL_CURL_CONNECTTIMEOUT, CL_FETCH_CONNECT) &&
           !set(a->curl, CL_CURL_LOW_SPEED_TIME, CL_FETCH_SILENCE) &&
           !set(a->curl, CL_CURL_LOW_SPEED_LIMIT, CL_FETCH_SLOWEST) && !set(a->curl, CL_CURL_FILETIME, 1L) &&
           !set(a->curl, CL_CURL_USERAGENT, "coulis/" COULIS_VERSION) && !set(a->curl, CL_CURL_NOPROGRESS, 0L) &&
           !set(a->curl, CL_CURL_XFERINFODATA, a) && !set(a->curl, CL_CURL_XFERINFOFUNCTION, look_at_stop) &&
           !set(a->curl, CL_CURL_WRITEDATA, a) && !set(a->curl, CL_CURL_WRITEFUNCTION, take_body) &&
           !set(a->curl, CL_CURL_HEADERDATA, a) && !set(a->curl, CL_CURL_HEADERFUNCTION, take_header) &&
           !set(a->curl, CL_CURL_RANGE, a->fetch->first < 0 ? NULL : range) &&
           (!a->http->authorities || !set(a->curl, CL_CURL_CAINFO, a->http->authorities));
}

/* Makes the request and gathers what is to be known of its answer. */
static void request(answer *a, const char *address) {
    const cl_curl *curl = &a->http->curl;
    handle *taken = take_handle(a->http);
    cl_fetch_clear(a->fetch);
    a->code = CL_CURL_NO_MEMORY;
    a->claimed = -1;
    if (!taken) return;
    a->curl = taken->curl;
    if (set_up(a, address)) a->code = curl->easy_perform(a->curl);
    int64_t modified = -1, wait = 0;
    const char *redirect = NULL;
    curl->easy_getinfo(a->curl, CL_CURL_RESPONSE_CODE, &a->status);
    curl->easy_getinfo(a->curl, CL_CURL_OS_ERRNO, &a->number);
    curl->easy_getinfo(a->curl, CL_CURL_FILETIME_T, &modified);
    curl->easy_getinfo(a->curl, CL_CURL_REDIRECT_URL, &redirect);
    curl->easy_getinfo(a->curl, CL_CURL_RETRY_AFTER, &wait);
    a->wait = (double)wait;
    if (a->status == 200) a->fetch->total = (int64_t)a->fetch->size;
    if (redirect && !(a->redirect = cl_strdup(redirect))) a->no_memory = true;
    a->fetch->state = (cl_file_state){.has_bytes = true,
                                      .bytes = (int64_t)a->fetch->size,
                                      .has_modified = modified >= 0,
                                      .modified = modified * 1000000};
    give_back(a->http, taken);
}

/* ---- what an answer means ---- */

typedef enum verdict {
    GOOD,
    ELSEWHERE,
    AGAIN,  /* another try may help; then it is this item's failure, if the server is well */
    SERVER, /* likewise; then it is the server's own state */
    FAILED  /* for good */
} verdict;

static verdict judge(const answer *a) {
    if (a->no_memory || a->too_large || a->no_parts || a->code == CL_CURL_STOPPED) return FAILED;
    if (a->status == 0) { /* nothing was heard */
        switch (a->code) {
        case CL_CURL_BAD_URL:
        case CL_CURL_BAD_CERTIFICATE:
        case CL_CURL_NO_AUTHORITIES:
        case CL_CURL_NO_MEMORY: return FAILED;
        default: return SERVER;
        }
    }
    if (is_body(a)) return a->code == CL_CURL_OK ? GOOD : AGAIN; /* else the body was cut */
    if (a->status == 416 && a->fetch->first >= 0) return GOOD;   /* a part behind the end */
    switch (a->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308: return a->redirect ? ELSEWHERE : FAILED;
    case 429:
    case 502:
    case 503:
    case 504: return SERVER;
    case 408:
    case 425: return AGAIN;
    default: return a->status >= 500 ? AGAIN : FAILED;
    }
}

static const char *phrase(long status) {
    switch (status) {
    case 400: return " (Bad Request)";
    case 401: return " (Unauthorized)";
    case 403: return " (Forbidden)";
    case 404: return " (Not Found)";
    case 410: return " (Gone)";
    case 429: return " (Too Many Requests)";
    case 500: return " (Internal Server Error)";
    case 502: return " (Bad Gateway)";
    case 503: return " (Service Unavailable)";
    case 504: return " (Gateway Timeout)";
    default: return "";
    }
}

/* Whether names cannot be looked up at all, rather than that there is none such. */
static bool no_names(const char *address) {
    const char *host = strstr(address, "://") + 3;
    const char *end = host + strcspn(host, "/?#");
    for (const char *at = host; at < end; at++) /* a name and password stand before it */
        if (*at == '@') host = at + 1;
    char *name = cl_format("%.*s", (int)strcspn(host, "/?#:"), host);
    struct addrinfo *found = NULL;
    const int code = name ? getaddrinfo(name, NULL, NULL, &found) : EAI_MEMORY;
    if (code == 0) freeaddrinfo(found);
    cl_free(name);
    return code == EAI_AGAIN || code == EAI_FAIL || code == EAI_SYSTEM || code == EAI_MEMORY;
}

/* Whether it is this machine that has run out of something. */
static bool out_of(long number) {
    return number == EMFILE || number == ENFILE || number == ENOMEM || number == ENOBUFS;
}

/* Nobody was reached. That a server is gone which was there before, or that nobody at all was reached, says nothing
 * about an image. */
static coulis_status fail_unreached(const answer *a, const char *address, coulis_error *error) {
    bool any;
    const bool known = cl_hosts_has(&a->http->hosts, address, &any);
    const char *text = a->text[0] ? a->text : a->http->curl.easy_strerror(a->code);
    bool of_machine = known || !any || out_of(a->number);
    if (a->code == CL_CURL_NO_HOST) of_machine = no_names(address);
    if (a->code == CL_CURL_NO_AUTHORITIES) of_machine = true;
    if (a->code == CL_CURL_BAD_URL || a->code == CL_CURL_BAD_CERTIFICATE) of_machine = false;
    return cl_fail(error, of_machine ? COULIS_IO : COULIS_UNREADABLE, "%s: the server cannot be reached: %s",
                   a->fetch->name, text);
}

/* Whether a server that fails to give one thing gives another. */
static bool is_well(cl_http *http, const char *address) {
    char *witness = cl_hosts_witness(&http->hosts, address);
    cl_fetch fetch = {.name = witness, .max_bytes = REST_MAX, .first = -1, .total = -1};
    bool well = false;
    for (int tries = 1; witness && !well; tries++) {
        answer a = {.http = http, .fetch = &fetch};
        request(&a, witness);
        const verdict found = judge(&a);
        well = a.status != 0 && a.code != CL_CURL_STOPPED && found != AGAIN && found != SERVER;
        cl_free(a.redirect);
        if (!well && (tries == WITNESS_TRIES || !cl_stop_pause(http->stop, tries, a.wait))) break;
    }
    cl_fetch_clear(&fetch);
    cl_free(witness);
    return well;
}

/* Whether it says nothing about an image that a server fails: one that has answered before, or nobody has yet. */
static bool is_of_server(const answer *a, verdict found, const char *address) {
    bool any;
    if (found == FAILED || (found == AGAIN && is_well(a->http, address))) return false;
    return cl_hosts_has(&a->http->hosts, address, &any) || !any;
}

static coulis_status fail(const answer *a, verdict found, const char *address, int tries, coulis_error *error) {
    const char *name = a->fetch->name;
    if (a->no_memory || a->code == CL_CURL_NO_MEMORY) return cl_fail_memory(error, name, a->fetch->size);
    if (a->too_large) return cl_fetch_too_large(a->fetch, a->claimed, error);
    if (a->no_parts)
        return cl_fail(
            error, COULIS_IO,
            "%s: its server does not support byte ranges, which archives and tables need; fetch the file first", name);
    if (a->code == CL_CURL_STOPPED) return cl_fail(error, COULIS_INTERRUPTED, "%s: stopped on request", name);
    if (a->status == 0) return fail_unreached(a, address, error);
    const coulis_status blamed = is_of_server(a, found, address) ? COULIS_IO : COULIS_UNREADABLE;
    if (is_body(a))
        return cl_fail(error, blamed, "%s: its bytes do not arrive, in %d tries: %s", name, tries,
                       a->text[0] ? a->text : a->http->curl.easy_strerror(a->code));
    if (a->status == 404 || a->status == 410)
        return cl_fail(error, COULIS_MISSING, "%s: the server answers %ld%s", name, a->status, phrase(a->status));
    char again[32] = "";
    if (tries > 1) snprintf(again, sizeof again, ", in %d tries", tries);
    return cl_fail(error, blamed, "%s: the server answers %ld%s%s", name, a->status, phrase(a->status), again);
}

/* Goes on to where the server says; takes answer->redirect over. */
static coulis_status follow(answer *a, char **address, int *redirects, coulis_error *error) {
    const bool was_safe = strncasecmp(*address, "https:", 6) == 0;
    const bool good = strncasecmp(a->redirect, "https:", 6) == 0 ||
                      (!was_safe && strncasecmp(a->redirect, "http:", 5) == 0);
    if (!good)
        return cl_fail(error, COULIS_UNREADABLE, "%s: the server redirects from %s to %s, which is not followed",
                       a->fetch->name, was_safe ? "https" : "http", a->redirect);
    if (++*redirects > REDIRECTS_MAX)
        return cl_fail(error, COULIS_UNREADABLE, "%s: the server redirects more than %d times", a->fetch->name,
                       REDIRECTS_MAX);
    cl_free(*address);
    *address = a->redirect;
    a->redirect = NULL;
    return COULIS_OK;
}

coulis_status cl_http_get(cl_http *http, cl_fetch *fetch, coulis_error *error) {
    char *address = address_of(fetch->name);
    if (!address) return cl_fail_memory(error, fetch->name, strlen(fetch->name));
    coulis_status status = COULIS_OK;
    int redirects = 0;
    for (int tries = 1;;) {
        answer a = {.http = http, .fetch = fetch};
        request(&a, address);
        const verdict found = judge(&a);
        if (a.status != 0 && found != SERVER && found != AGAIN) cl_hosts_add(&http->hosts, address);
        if (found == GOOD) cl_hosts_served(&http->hosts, address);
        if (found == ELSEWHERE) status = follow(&a, &address, &redirects, error);
        else if (found == GOOD) status = cl_fetch_check(fetch, error);
        else if (found == FAILED || tries == CL_FETCH_TRIES) status = fail(&a, found, address, tries, error);
        else if (!cl_stop_pause(http->stop, tries++, a.wait))
            status = cl_fail(error, COULIS_INTERRUPTED, "%s: stopped on request", fetch->name);
        else continue;
        cl_free(a.redirect);
        if (!status && found == ELSEWHERE) continue;
        break;
    }
    cl_free(address);
    if (status) cl_fetch_clear(fetch);
    return status;
}
