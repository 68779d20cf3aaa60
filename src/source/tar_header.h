/* The members of a tar archive: POSIX ustar and pax, and GNU's long names. */
#pragma once

#include "source/flow.h"

typedef struct cl_tar_member {
    char *name;       /* released with cl_free; NULL: there are no more members */
    char *link;       /* what a link points to; NULL: it is none */
    uint64_t size;    /* of the bytes that follow; cl_tar_padding more come behind them */
    int64_t modified; /* microseconds since 1970, or INT64_MIN */
    int32_t file;     /* not 0: a regular file, or a link */
} cl_tar_member;

/* Reads the header of the next member; the flow then stands before its bytes. COULIS_BAD_DATA when it is damaged. */
coulis_status cl_tar_next(cl_flow *flow, const char *archive, cl_tar_member *member, coulis_error *error);

void cl_tar_member_free(cl_tar_member *member);

/* Bytes up to the next block. */
static inline uint64_t cl_tar_padding(uint64_t size) { return (512 - size % 512) % 512; }
