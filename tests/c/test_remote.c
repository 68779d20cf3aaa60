/* What of remote/ can be checked against other texts: libcurl's numbers, the ends of waiting, what is remembered. */
#include <string.h>

#include "base/memory.h"
#include "remote/curl.h"
#include "remote/fetch.h"
#include "remote/hosts.h"
#include "remote/s3.h"
#include "source/location.h"
#include "test.h"

#if __has_include(<curl/curl.h>)
#include <curl/curl.h>

static void numbers_are_those_of_libcurl(void) {
    CHECK(CL_CURL_NOPROGRESS == (int)CURLOPT_NOPROGRESS && CL_CURL_FILETIME == (int)CURLOPT_FILETIME);
    CHECK(CL_CURL_CONNECTTIMEOUT == (int)CURLOPT_CONNECTTIMEOUT && CL_CURL_PROTOCOLS == 181);
    CHECK(CL_CURL_LOW_SPEED_LIMIT == (int)CURLOPT_LOW_SPEED_LIMIT);
    CHECK(CL_CURL_LOW_SPEED_TIME == (int)CURLOPT_LOW_SPEED_TIME && CL_CURL_NOSIGNAL == (int)CURLOPT_NOSIGNAL);
    CHECK(CL_CURL_WRITEDATA == (int)CURLOPT_WRITEDATA && CL_CURL_WRITEFUNCTION == (int)CURLOPT_WRITEFUNCTION);
    CHECK(CL_CURL_HEADERDATA == (int)CURLOPT_HEADERDATA && CL_CURL_HEADERFUNCTION == (int)CURLOPT_HEADERFUNCTION);
    CHECK(CL_CURL_XFERINFODATA == (int)CURLOPT_XFERINFODATA && CL_CURL_CAINFO == (int)CURLOPT_CAINFO);
    CHECK(CL_CURL_XFERINFOFUNCTION == (int)CURLOPT_XFERINFOFUNCTION && CL_CURL_URL == (int)CURLOPT_URL);
    CHECK(CL_CURL_RANGE == (int)CURLOPT_RANGE && CL_CURL_ERRORBUFFER == (int)CURLOPT_ERRORBUFFER);
    CHECK(CL_CURL_USERAGENT == (int)CURLOPT_USERAGENT && CL_CURL_ERROR_SIZE == CURL_ERROR_SIZE);
    CHECK(CL_CURL_REDIRECT_URL == (int)CURLINFO_REDIRECT_URL && CL_CURL_RESPONSE_CODE == (int)CURLINFO_RESPONSE_CODE);
    CHECK(CL_CURL_OS_ERRNO == (int)CURLINFO_OS_ERRNO && CL_CURL_FILETIME_T == (int)CURLINFO_FILETIME_T);
    CHECK(CL_CURL_RETRY_AFTER == (int)CURLINFO_RETRY_AFTER);
    CHECK(CL_CURL_HTTP == (int)CURLPROTO_HTTP && CL_CURL_HTTPS == (int)CURLPROTO_HTTPS);
    CHECK(CL_CURL_BAD_URL == (int)CURLE_URL_MALFORMAT && CL_CURL_NO_PROXY == (int)CURLE_COULDNT_RESOLVE_PROXY);
    CHECK(CL_CURL_NO_HOST == (int)CURLE_COULDNT_RESOLVE_HOST && CL_CURL_NO_CONNECTION == (int)CURLE_COULDNT_CONNECT);
    CHECK(CL_CURL_WRITE_FAILED == (int)CURLE_WRITE_ERROR && CL_CURL_NO_MEMORY == (int)CURLE_OUT_OF_MEMORY);
    CHECK(CL_CURL_TIMEOUT == (int)CURLE_OPERATION_TIMEDOUT && CL_CURL_STOPPED == (int)CURLE_ABORTED_BY_CALLBACK);
    CHECK(CL_CURL_BAD_CERTIFICATE == (int)CURLE_PEER_FAILED_VERIFICATION);
    CHECK(CL_CURL_NO_AUTHORITIES == (int)CURLE_SSL_CACERT_BADFILE);
}
#else

static void numbers_are_those_of_libcurl(void) { SKIP("no header of libcurl"); }
#endif

static void hosts_are_remembered_by_scheme_name_and_port(void) {
    cl_hosts hosts;
    bool any;
    cl_hosts_begin(&hosts);
    CHECK(!cl_hosts_has(&hosts, "http://a/x", &any) && !any);
    cl_hosts_add(&hosts, "http://A/x");
    CHECK(cl_hosts_has(&hosts, "http://a", &any) && any);
    CHECK(cl_hosts_has(&hosts, "http://a?q", &any) && !cl_hosts_has(&hosts, "https://a/x", &any));
    CHECK(!cl_hosts_has(&hosts, "http://a:81/x", &any));
    char name[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "http://host%d/x", i);
        cl_hosts_add(&hosts, name);
    }
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "http://host%d/", i);
        CHECK(cl_hosts_has(&hosts, name, &any) == (i < 1000));
    }
    cl_hosts_end(&hosts);
}

static bool witness_is(cl_hosts *hosts, const char *address, const char *expected) {
    char *witness = cl_hosts_witness(hosts, address);
    const bool same = witness && strcmp(witness, expected) == 0;
    if (!same) printf("    %s, not %s\n", witness ? witness : "nothing", expected);
    cl_free(witness);
    return same;
}

static void a_witness_is_of_the_same_server(void) {
    cl_hosts hosts;
    cl_hosts_begin(&hosts);
    CHECK(witness_is(&hosts, "http://a:81/x/y?z", "http://a:81/"));
    CHECK(witness_is(&hosts, "http://a?z", "http://a/"));
    cl_hosts_served(&hosts, "http://a:81/good");
    cl_hosts_served(&hosts, "http://a:81/other");
    CHECK(witness_is(&hosts, "http://A:81/x", "http://a:81/good"));
    CHECK(witness_is(&hosts, "http://a/x", "http://a/"));
    char name[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "http://host%d/x", i);
        cl_hosts_served(&hosts, name);
        CHECK(witness_is(&hosts, name, name));
    }
    cl_hosts_end(&hosts);
}

static void bytes_are_taken_up_to_the_limit(void) {
    cl_fetch fetch = {.name = "x", .max_bytes = 100000, .first = -1};
    bool no_memory = false;
    char bytes[1000] = {0};
    for (int i = 0; i < 100; i++) CHECK(cl_fetch_append(&fetch, bytes, sizeof bytes, &no_memory));
    CHECK(fetch.size == 100000 && fetch.capacity == 100000);
    CHECK(!cl_fetch_append(&fetch, bytes, 1, &no_memory) && !no_memory);
    cl_fetch_clear(&fetch);
    cl_test_fail_allocation(1);
    CHECK(!cl_fetch_append(&fetch, bytes, 1, &no_memory) && no_memory);
    cl_test_fail_allocation(0);
    cl_fetch_clear(&fetch);
}

static bool path_is(const char *name, const char *expected) {
    char *path = cl_location_path(name);
    const bool same = path && strcmp(path, expected) == 0;
    cl_free(path);
    return same;
}

static void paths_of_addresses(void) {
    CHECK(path_is("http://host/a/b.jpg?x=/c#d", "a/b.jpg"));
    CHECK(path_is("https://host/K%C3%BC%2Fa/%41%4%00+.jpg", "K\xC3\xBC%2Fa/A%4%00+.jpg"));
    CHECK(path_is("s3://bucket/a%41/b?.jpg", "a%41/b?.jpg"));
    CHECK(path_is("s3://bucket", "") && path_is("http://host?x", ""));
}

/* Two places are tried; the sentence says what was wrong with the first, which is beside the library. */
static void a_missing_part_is_named(void) {
    const cl_s3_calls *calls = NULL;
    coulis_error error;
    if (cl_s3_load(&calls, &error) == COULIS_OK) SKIP("libcoulis_s3.so is installed");
    CHECK_MSG(strstr(error.message, "/libcoulis_s3.so: cannot open shared object file"), "%s", error.message);
}

static void waiting_ends_when_it_is_stopped(void) {
    cl_stop stop;
    cl_stop_begin(&stop);
    CHECK(cl_stop_pause(&stop, 1, 0));
    cl_stop_set(&stop);
    CHECK(!cl_stop_pause(&stop, 6, 60));
    cl_stop_end(&stop);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    RUN(numbers_are_those_of_libcurl);
    RUN(hosts_are_remembered_by_scheme_name_and_port);
    RUN(a_witness_is_of_the_same_server);
    RUN(bytes_are_taken_up_to_the_limit);
    RUN(paths_of_addresses);
    RUN(a_missing_part_is_named);
    RUN(waiting_ends_when_it_is_stopped);
    return test_finish();
}
