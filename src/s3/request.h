/* One request to S3, made and waited for. */
#pragma once

#include "s3/state.h"

typedef struct cl_s3_request {
    const char *name;      /* of the address, for sentences */
    const char *method;    /* "GET", "PUT", "DELETE" */
    const char *operation; /* S3's name for it */
    enum aws_s3_meta_request_type type;
    const char *query;  /* without the question mark; NULL: none */
    const char *file;   /* PUT: the file to send */
    int64_t file_bytes; /* of it */
    cl_fetch *fetch;    /* where the body goes, within its limits; its `first` asks for a part. NULL: nowhere */
} cl_s3_request;

/* An address taken apart: s3://BUCKET/KEY. */
typedef struct cl_s3_address {
    char *bucket;
    const char *key; /* within the text given */
} cl_s3_address;

/* COULIS_INVALID_ARGUMENT for what is not an address; bucket released with cl_free. */
coulis_status cl_s3_address_read(const char *text, cl_s3_address *address, coulis_error *error);

/* Sends it, again where that may help, and to the region where the bucket turns out to be. Without `object` the request
 * is about the bucket itself. */
coulis_status cl_s3_send(cl_s3_state *state, const cl_s3_request *request, const cl_s3_address *address, bool object,
                         coulis_error *error);

/* Where requests for a bucket go, "https://host"; and the path in front of the key. Both released with cl_free. */
coulis_status cl_s3_place(cl_s3_state *state, const char *bucket, char **server, char **path, coulis_error *error);

/* `text` with all but letters, digits, "-._~", and "/" where `slashes`, as %XX. NULL: no memory. */
char *cl_s3_encode(const char *text, bool slashes);
