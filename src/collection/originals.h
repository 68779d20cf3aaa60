/* The images of a result, read again wherever they are, for their thumbnails. */
#pragma once

#include "base/threads.h"
#include "collection/members.h"

typedef struct cl_originals cl_originals;

/* What could not be read. */
typedef struct cl_missing {
    int64_t count;
    coulis_error first;
} cl_missing;

/* `paths`: all that are to be read. `pool` decodes them, and lives as long as the originals. */
coulis_status cl_originals_open(const char *const *paths, int64_t count, const coulis_collection_options *options,
                                cl_pool *pool, cl_originals **originals, coulis_error *error);
/* NULL is allowed. */
void cl_originals_close(cl_originals *originals);

/* The threads by which images are to be read and decoded: where images are on other machines, more than decode. */
cl_pool *cl_originals_pool(const cl_originals *originals);

/* The image cropped to a square of `side` pixels, EXIF orientation applied, transparency over white. Statuses below
 * COULIS_INVALID_ARGUMENT say that this image cannot be had; others are of the machine, the network or a server. */
coulis_status cl_originals_load(cl_originals *originals, const char *path, int32_t side, uint8_t *rgb,
                                coulis_error *error);

/* Images in archives and tables are read by one thread, with cl_members_read, and decoded by several, those of
 * cl_originals_pool. *length as cl_members_find gives it. */
coulis_status cl_originals_find(cl_originals *originals, const char *path, size_t *length, coulis_error *error);
cl_members *cl_originals_members(cl_originals *originals);
int64_t cl_originals_max_bytes(const cl_originals *originals);
coulis_status cl_originals_decode(cl_originals *originals, const char *path, const uint8_t *bytes, size_t size,
                                  int32_t side, uint8_t *rgb, coulis_error *error);

/* Has what is under way end soon. By any thread. */
void cl_originals_stop(cl_originals *originals);

/* Tells the caller, by its options, of what is missing among `count` images. */
void cl_missing_tell(const cl_missing *missing, int64_t count, const coulis_collection_options *options);
