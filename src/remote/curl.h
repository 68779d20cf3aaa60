/* libcurl, looked for when the first address is read: every system has one, with the certificates and proxies that this
 * system trusts, and its own updates. What is declared here is its interface, which never changes. */
#pragma once

#include "base/base.h"

/* CURLoption */
enum {
    CL_CURL_NOPROGRESS = 43,
    CL_CURL_FILETIME = 69,
    CL_CURL_CONNECTTIMEOUT = 78,
    CL_CURL_LOW_SPEED_LIMIT = 19,
    CL_CURL_LOW_SPEED_TIME = 20,
    CL_CURL_NOSIGNAL = 99,
    CL_CURL_PROTOCOLS = 181,
    CL_CURL_WRITEDATA = 10001,
    CL_CURL_URL = 10002,
    CL_CURL_RANGE = 10007,
    CL_CURL_ERRORBUFFER = 10010,
    CL_CURL_USERAGENT = 10018,
    CL_CURL_XFERINFODATA = 10057,
    CL_CURL_CAINFO = 10065,
    CL_CURL_HEADERDATA = 10029,
    CL_CURL_WRITEFUNCTION = 20011,
    CL_CURL_HEADERFUNCTION = 20079,
    CL_CURL_XFERINFOFUNCTION = 20219
};
/* CURLINFO */
enum {
    CL_CURL_REDIRECT_URL = 0x10001F,
    CL_CURL_RESPONSE_CODE = 0x200002,
    CL_CURL_OS_ERRNO = 0x200019,
    CL_CURL_FILETIME_T = 0x60000E,
    CL_CURL_RETRY_AFTER = 0x600039
};
/* CURLcode */
enum {
    CL_CURL_OK = 0,
    CL_CURL_BAD_URL = 3,
    CL_CURL_NO_PROXY = 5,
    CL_CURL_NO_HOST = 6,
    CL_CURL_NO_CONNECTION = 7,
    CL_CURL_WRITE_FAILED = 23,
    CL_CURL_NO_MEMORY = 27,
    CL_CURL_TIMEOUT = 28,
    CL_CURL_STOPPED = 42,
    CL_CURL_BAD_CERTIFICATE = 60,
    CL_CURL_NO_AUTHORITIES = 77
};
enum { CL_CURL_HTTP = 1, CL_CURL_HTTPS = 2 }; /* bits of PROTOCOLS */
#define CL_CURL_ERROR_SIZE 256

typedef struct cl_curl {
    int (*global_init)(long flags);
    void *(*easy_init)(void);
    void (*easy_cleanup)(void *handle);
    int (*easy_setopt)(void *handle, int option, ...);
    int (*easy_perform)(void *handle);
    int (*easy_getinfo)(void *handle, int info, ...);
    const char *(*easy_strerror)(int code);
} cl_curl;

/* Loads the library; it stays loaded. COULIS_IO with a sentence that says what to install. */
coulis_status cl_curl_load(cl_curl *curl, coulis_error *error);
