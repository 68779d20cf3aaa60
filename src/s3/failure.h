/* What S3 answers when it refuses, and what that means. */
#pragma once

#include "s3/state.h"

typedef struct cl_s3_answer {
    cl_s3_state *state;
    cl_fetch *fetch;
    int status;     /* of HTTP; 0: there was no answer */
    int error_code; /* AWS's; 0: it went well */
    bool no_memory, too_large, finished, ended;
    char code[64], message[200]; /* S3's; empty when it told none */
    char region[64];             /* where the bucket is, when S3 told that */
} cl_s3_answer;

/* Reads code, message and region from the body of an answer. */
void cl_s3_answer_read(cl_s3_answer *answer, const char *body, size_t size);

/* The text between <name> and </name> within a body; false when there is none. */
bool cl_s3_between(const char *body, size_t size, const char *name, const char **text, size_t *length);

/* Whether another try may help. */
bool cl_s3_may_go_better(const cl_s3_answer *answer);

/* The sentence. COULIS_MISSING and COULIS_UNREADABLE are the object's; COULIS_IO: keys, clock, service, network. */
coulis_status cl_s3_fail(const cl_s3_answer *answer, const char *name, const char *bucket, const char *region,
                         coulis_error *error);
