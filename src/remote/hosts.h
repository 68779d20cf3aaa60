/* Which servers have answered: one that has and is gone is a fault of the network, not of an image. */
#pragma once

#include "base/sync.h"

#define CL_HOSTS_SERVED 64

typedef struct cl_hosts {
    cl_mutex mutex;
    struct {
        uint64_t host;
        char *address;
    } served[CL_HOSTS_SERVED]; /* of some servers, an address that they gave; by their hashes */
    uint64_t *places; /* an open hash table of the hashes of their names, a power of two, at most half full; 0: free */
    size_t capacity, count;
} cl_hosts;

void cl_hosts_begin(cl_hosts *hosts);
void cl_hosts_end(cl_hosts *hosts);

/* The server of this address has answered. Where memory is short it is not remembered, which changes a sentence at
 * most. */
void cl_hosts_add(cl_hosts *hosts, const char *address);

/* The server gave what is at this address. */
void cl_hosts_served(cl_hosts *hosts, const char *address);

/* What to ask the server of this address for, to know whether it is well: something that it gave before, or its front
 * page. NULL when memory is short; released with cl_free. */
char *cl_hosts_witness(cl_hosts *hosts, const char *address);

/* Whether it has answered; *any: whether any server has. */
bool cl_hosts_has(cl_hosts *hosts, const char *address, bool *any);
