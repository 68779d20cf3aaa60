/* What is shared by all requests: AWS's client, keys, where buckets are. */
#pragma once

#include <aws/auth/credentials.h>
#include <aws/io/channel_bootstrap.h>
#include <aws/io/event_loop.h>
#include <aws/io/host_resolver.h>
#include <aws/io/tls_channel_handler.h>
#include <aws/s3/s3_client.h>

#include "base/sync.h"
#include "remote/s3.h"

/* Large objects come and go in parts of this size. */
#define CL_S3_PART ((uint64_t)8 << 20)

/* The region a bucket turned out to be in. */
typedef struct cl_s3_bucket {
    struct cl_s3_bucket *next;
    char *name, *region;
} cl_s3_bucket;

struct cl_s3_state {
    struct aws_allocator *allocator;
    struct aws_event_loop_group *loops;
    struct aws_host_resolver *resolver;
    struct aws_client_bootstrap *bootstrap;
    struct aws_tls_ctx *tls;
    struct aws_tls_connection_options tls_options;
    struct aws_credentials_provider *credentials;
    struct aws_s3_client *client;
    char *endpoint; /* that of AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile, without a slash at the end; NULL */
    char *region;   /* where nothing else is known */
    cl_remote_options options;
    cl_stop *stop;
    cl_mutex mutex; /* of the buckets, and of what is waited for */
    cl_condition changed;
    cl_s3_bucket *buckets;
    int running; /* parts that have not told yet that they are gone */
};

coulis_status cl_s3_create(cl_stop *stop, const cl_remote_options *options, cl_s3_state **state, coulis_error *error);
void cl_s3_close(cl_s3_state *state);

/* The region of a bucket, which lives as long as the state. */
const char *cl_s3_region(cl_s3_state *state, const char *bucket);
/* Remembers one that S3 told; false when that is what was believed, or memory is short. */
bool cl_s3_learn_region(cl_s3_state *state, const char *bucket, const char *region);

static inline struct aws_byte_cursor cl_cursor(const char *text) { return aws_byte_cursor_from_c_str(text); }
