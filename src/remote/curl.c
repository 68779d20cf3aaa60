#include "remote/curl.h"

#include "base/library.h"

#define GLOBAL_ALL 3L /* CURL_GLOBAL_ALL */

static const char *const files[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so"};
static const char *const symbols[] = {"curl_global_init",  "curl_easy_init",    "curl_easy_cleanup", "curl_easy_setopt",
                                      "curl_easy_perform", "curl_easy_getinfo", "curl_easy_strerror"};
_Static_assert(sizeof(cl_curl) == sizeof symbols, "a place for each symbol, in the same order");

static bool take(void *library, cl_curl *curl) {
    void **places = (void **)curl;
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
        if (!(places[i] = cl_library_symbol(library, symbols[i]))) return false;
    return true;
}

coulis_status cl_curl_load(cl_curl *curl, coulis_error *error) {
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        void *library = cl_library_open(files[i], NULL, 0);
        if (library && take(library, curl) && curl->global_init(GLOBAL_ALL) == CL_CURL_OK) return COULIS_OK;
        if (library) cl_library_close(library);
    }
    return cl_fail(error, COULIS_IO,
                   "http:// and https:// need libcurl, which is not installed: install libcurl4 "
                   "(Debian, Ubuntu) or libcurl (Fedora, Amazon Linux)");
}
