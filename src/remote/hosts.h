/* Which servers have answered: one that has and is gone is a fault of the network, not of an image. */
#ifndef CL_REMOTE_HOSTS_H
#define CL_REMOTE_HOSTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cl_hosts {
    pthread_mutex_t mutex;
    uint64_t *places; /* an open hash table of the hashes of their names, a power of two, at most half full; 0: free */
    size_t capacity, count;
} cl_hosts;

void cl_hosts_begin(cl_hosts *hosts);
void cl_hosts_end(cl_hosts *hosts);

/* The server of this address has answered. Where memory is short it is not remembered, which changes a sentence at
 * most. */
void cl_hosts_add(cl_hosts *hosts, const char *address);

/* Whether it has; *any: whether any server has. */
bool cl_hosts_has(cl_hosts *hosts, const char *address, bool *any);

#endif
