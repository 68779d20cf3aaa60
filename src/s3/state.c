#include "s3/state.h"

#include <aws/common/string.h>
#include <aws/http/connection.h>
#include <aws/sdkutils/aws_profile.h>
#include <stdlib.h>

#define RETRIES (CL_FETCH_TRIES - 1)

/* AWS's libraries keep tables for the whole process. */
static cl_once once = CL_ONCE_INIT;
static void set_up_library(void) { aws_s3_library_init(aws_default_allocator()); }

/* ---- what the environment and the profile say ---- */

static const char *from_environment(const char *const *names) {
    for (; *names; names++) {
        const char *value = getenv(*names);
        if (value && *value) return value;
    }
    return NULL;
}

/* A property of the profile in use, as memory of its own; NULL when there is none. */
static char *of_profile(struct aws_allocator *allocator, const char *property) {
    char *found = NULL;
    struct aws_string *path = aws_get_config_file_path(allocator, NULL);
    struct aws_string *name = aws_get_profile_name(allocator, NULL);
    struct aws_string *wanted = aws_string_new_from_c_str(allocator, property);
    struct aws_profile_collection *all = path ? aws_profile_collection_new_from_file(allocator, path, AWS_PST_CONFIG)
                                              : NULL;
    const struct aws_profile *profile = all && name ? aws_profile_collection_get_profile(all, name) : NULL;
    const struct aws_profile_property *value = profile ? aws_profile_get_property(profile, wanted) : NULL;
    if (value) found = cl_strdup(aws_string_c_str(aws_profile_property_get_value(value)));
    if (all) aws_profile_collection_release(all);
    aws_string_destroy(wanted);
    aws_string_destroy(name);
    aws_string_destroy(path);
    return found;
}

static coulis_status read_settings(cl_s3_state *s, coulis_error *error) {
    static const char *const endpoints[] = {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", NULL};
    static const char *const regions[] = {"AWS_REGION", "AWS_DEFAULT_REGION", NULL};
    const char *endpoint = from_environment(endpoints), *region = from_environment(regions);
    s->endpoint = endpoint ? cl_strdup(endpoint) : of_profile(s->allocator, "endpoint_url");
    s->region = region ? cl_strdup(region) : of_profile(s->allocator, "region");
    if (!s->region) s->region = cl_strdup("us-east-1");
    if (!s->region || (endpoint && !s->endpoint)) return cl_fail_memory(error, "settings of S3", 0);
    for (size_t end = s->endpoint ? strlen(s->endpoint) : 0; end > 0 && s->endpoint[end - 1] == '/'; end--)
        s->endpoint[end - 1] = '\0';
    if (s->endpoint && strncmp(s->endpoint, "http://", 7) != 0 && strncmp(s->endpoint, "https://", 8) != 0)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "AWS_ENDPOINT_URL: '%s' does not begin with http:// or https://",
                       s->endpoint);
    return COULIS_OK;
}

/* ---- making and ending it ---- */

static void gone(void *context) {
    cl_s3_state *s = context;
    cl_mutex_lock(&s->mutex);
    s->running--;
    cl_condition_broadcast(&s->changed);
    cl_mutex_unlock(&s->mutex);
}

static void wait_for(cl_s3_state *s, int running) {
    cl_mutex_lock(&s->mutex);
    while (s->running > running) cl_condition_wait(&s->changed, &s->mutex);
    cl_mutex_unlock(&s->mutex);
}

static coulis_status set_up_tls(cl_s3_state *s, coulis_error *error) {
    struct aws_tls_ctx_options options;
    const char *authorities = getenv("AWS_CA_BUNDLE");
    aws_tls_ctx_options_init_default_client(&options, s->allocator);
    coulis_status status = COULIS_OK;
    if (authorities && *authorities &&
        aws_tls_ctx_options_override_default_trust_store_from_path(&options, NULL, authorities) != AWS_OP_SUCCESS)
        status = cl_fail(error, COULIS_IO, "AWS_CA_BUNDLE: %s: %s", authorities, aws_error_str(aws_last_error()));
    if (!status && !(s->tls = aws_tls_client_ctx_new(s->allocator, &options)))
        status = cl_fail(error, COULIS_IO, "S3: TLS cannot be set up: %s", aws_error_str(aws_last_error()));
    aws_tls_ctx_options_clean_up(&options);
    if (!status) aws_tls_connection_options_init_from_ctx(&s->tls_options, s->tls);
    return status;
}

static bool set_up_client(cl_s3_state *s) {
    /* Callbacks come from these loops and do little: two keep up with any network that a machine of this kind has. */
    const struct aws_shutdown_callback_options shutdown = {.shutdown_callback_fn = gone,
                                                           .shutdown_callback_user_data = s};
    const struct aws_event_loop_group_options loops = {.loop_count = 2, .shutdown_options = &shutdown};
    s->loops = aws_event_loop_group_new(s->allocator, &loops);
    if (!s->loops) return false;
    s->running++;
    struct aws_host_resolver_default_options resolver = {.max_entries = 64, .el_group = s->loops};
    s->resolver = aws_host_resolver_new_default(s->allocator, &resolver);
    const struct aws_client_bootstrap_options bootstrap = {.event_loop_group = s->loops, .host_resolver = s->resolver};
    s->bootstrap = s->resolver ? aws_client_bootstrap_new(s->allocator, &bootstrap) : NULL;
    if (!s->bootstrap) return false;
    const struct aws_credentials_provider_shutdown_options ended = {.shutdown_callback = gone, .shutdown_user_data = s};
    const struct aws_credentials_provider_chain_default_options chain = {.bootstrap = s->bootstrap,
                                                                         .tls_ctx = s->tls,
                                                                         .shutdown_options = ended};
    s->credentials = s->options.no_sign_request ? aws_credentials_provider_new_anonymous(s->allocator, &ended)
                                                : aws_credentials_provider_new_chain_default(s->allocator, &chain);
    if (!s->credentials) return false;
    s->running++;
    struct aws_signing_config_aws signing;
    aws_s3_init_default_signing_config(&signing, cl_cursor(s->region), s->credentials);
    const bool plain = s->endpoint && strncmp(s->endpoint, "http:", 5) == 0;
    const struct aws_http_connection_monitoring_options monitoring = {
        .minimum_throughput_bytes_per_second = CL_FETCH_SLOWEST,
        .allowable_throughput_failure_interval_seconds = CL_FETCH_SILENCE};
    const struct aws_s3_client_config config = {
        .region = cl_cursor(s->region),
        .client_bootstrap = s->bootstrap,
        .signing_config = &signing,
        .tls_mode = plain ? AWS_MR_TLS_DISABLED : AWS_MR_TLS_ENABLED,
        .tls_connection_options = &s->tls_options,
        .part_size = CL_S3_PART,
        .max_active_connections_override = 64,
        .throughput_target_gbps = 5,
        .connect_timeout_ms = (uint32_t)CL_FETCH_CONNECT * 1000,
        .monitoring_options = &monitoring,
        .retry_config = {.max_retries = RETRIES, .backoff_scale_factor_ms = (uint32_t)(CL_FETCH_PAUSE * 1000)},
        .shutdown_callback = gone,
        .shutdown_callback_user_data = s};
    s->client = aws_s3_client_new(s->allocator, &config);
    s->running += s->client != NULL;
    return s->client != NULL;
}

coulis_status cl_s3_create(cl_stop *stop, const cl_remote_options *options, cl_s3_state **out, coulis_error *error) {
    cl_call_once(&once, set_up_library);
    cl_s3_state *s = cl_alloc_zero(1, sizeof *s);
    if (!s) return cl_fail_memory(error, "S3", sizeof *s);
    s->allocator = aws_default_allocator();
    s->options = *options;
    s->stop = stop;
    cl_mutex_init(&s->mutex);
    cl_condition_init(&s->changed);
    /* The threads that are started here leave signals to the program's own. */
    cl_signals before;
    cl_signals_hold(&before);
    coulis_status status = read_settings(s, error);
    if (!status) status = set_up_tls(s, error);
    if (!status && !set_up_client(s))
        status = cl_fail(error, COULIS_IO, "S3 cannot be set up: %s", aws_error_str(aws_last_error()));
    cl_signals_release(&before);
    if (status) {
        cl_s3_close(s);
        return status;
    }
    *out = s;
    return COULIS_OK;
}

void cl_s3_close(cl_s3_state *s) {
    if (!s) return;
    if (s->client) {
        aws_s3_client_release(s->client);
        wait_for(s, 2);
    }
    if (s->credentials) {
        aws_credentials_provider_release(s->credentials);
        wait_for(s, 1);
    }
    aws_client_bootstrap_release(s->bootstrap);
    aws_host_resolver_release(s->resolver);
    aws_event_loop_group_release(s->loops);
    wait_for(s, 0);
    aws_tls_connection_options_clean_up(&s->tls_options);
    aws_tls_ctx_release(s->tls);
    while (s->buckets) {
        cl_s3_bucket *first = s->buckets;
        s->buckets = first->next;
        cl_free(first->name);
        cl_free(first->region);
        cl_free(first);
    }
    cl_free(s->endpoint);
    cl_free(s->region);
    cl_condition_destroy(&s->changed);
    cl_mutex_destroy(&s->mutex);
    cl_free(s);
}

/* ---- where buckets are ---- */

const char *cl_s3_region(cl_s3_state *s, const char *bucket) {
    const char *region = s->region;
    cl_mutex_lock(&s->mutex);
    for (const cl_s3_bucket *b = s->buckets; b; b = b->next) {
        if (strcmp(b->name, bucket) != 0) continue;
        region = b->region;
        break; /* the one learned last */
    }
    cl_mutex_unlock(&s->mutex);
    return region;
}

bool cl_s3_learn_region(cl_s3_state *s, const char *bucket, const char *region) {
    if (strcmp(cl_s3_region(s, bucket), region) == 0) return false;
    cl_s3_bucket *learned = cl_alloc_zero(1, sizeof *learned);
    if (learned) {
        learned->name = cl_strdup(bucket);
        learned->region = cl_strdup(region);
    }
    if (!learned || !learned->name || !learned->region) {
        if (learned) {
            cl_free(learned->name);
            cl_free(learned->region);
        }
        cl_free(learned);
        return false;
    }
    cl_mutex_lock(&s->mutex);
    learned->next = s->buckets;
    s->buckets = learned;
    cl_mutex_unlock(&s->mutex);
    return true;
}
