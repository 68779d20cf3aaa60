#include "remote/hosts.h"

#include <ctype.h>

void cl_hosts_begin(cl_hosts *hosts) {
    *hosts = (cl_hosts){0};
    cl_mutex_init(&hosts->mutex);
}

void cl_hosts_end(cl_hosts *hosts) {
    cl_free(hosts->places);
    for (int i = 0; i < CL_HOSTS_SERVED; i++) cl_free(hosts->served[i].address);
    cl_mutex_destroy(&hosts->mutex);
}

/* How long scheme, host and port are. */
static size_t length_of_host(const char *address) {
    const char *authority = strstr(address, "://");
    const size_t scheme = authority ? (size_t)(authority + 3 - address) : 0;
    return scheme + strcspn(address + scheme, "/?#");
}

/* FNV-1a over them; never 0. */
static uint64_t hash_of(const char *address) {
    const size_t length = length_of_host(address);
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < length; i++) hash = (hash ^ (uint64_t)tolower((unsigned char)address[i])) * 0x100000001B3u;
    return hash ? hash : 1;
}

static size_t place_of(const uint64_t *places, size_t capacity, uint64_t hash) {
    size_t at = hash & (capacity - 1);
    while (places[at] && places[at] != hash) at = (at + 1) & (capacity - 1);
    return at;
}

static bool make_room(cl_hosts *hosts) {
    if (hosts->count * 2 < hosts->capacity) return true;
    const size_t capacity = hosts->capacity ? hosts->capacity * 2 : 64;
    uint64_t *places = cl_alloc_zero(capacity, sizeof *places);
    if (!places) return false;
    for (size_t i = 0; i < hosts->capacity; i++)
        if (hosts->places[i]) places[place_of(places, capacity, hosts->places[i])] = hosts->places[i];
    cl_free(hosts->places);
    hosts->places = places;
    hosts->capacity = capacity;
    return true;
}

void cl_hosts_add(cl_hosts *hosts, const char *address) {
    const uint64_t hash = hash_of(address);
    cl_mutex_lock(&hosts->mutex);
    if (make_room(hosts)) {
        const size_t at = place_of(hosts->places, hosts->capacity, hash);
        hosts->count += hosts->places[at] == 0;
        hosts->places[at] = hash;
    }
    cl_mutex_unlock(&hosts->mutex);
}

bool cl_hosts_has(cl_hosts *hosts, const char *address, bool *any) {
    const uint64_t hash = hash_of(address);
    cl_mutex_lock(&hosts->mutex);
    *any = hosts->count > 0;
    const bool found = *any && hosts->places[place_of(hosts->places, hosts->capacity, hash)] == hash;
    cl_mutex_unlock(&hosts->mutex);
    return found;
}

void cl_hosts_served(cl_hosts *hosts, const char *address) {
    const uint64_t hash = hash_of(address);
    cl_mutex_lock(&hosts->mutex);
    const size_t at = hash % CL_HOSTS_SERVED;
    if (hosts->served[at].host != hash) {
        char *copy = cl_strdup(address);
        if (copy) {
            cl_free(hosts->served[at].address);
            hosts->served[at].address = copy;
            hosts->served[at].host = hash;
        }
    }
    cl_mutex_unlock(&hosts->mutex);
}

char *cl_hosts_witness(cl_hosts *hosts, const char *address) {
    const uint64_t hash = hash_of(address);
    cl_mutex_lock(&hosts->mutex);
    const size_t at = hash % CL_HOSTS_SERVED;
    char *witness = hosts->served[at].host == hash ? cl_strdup(hosts->served[at].address)
                                                   : cl_format("%.*s/", (int)length_of_host(address), address);
    cl_mutex_unlock(&hosts->mutex);
    return witness;
}
