#include "collection/originals.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/sync.h"
#include "collection/options.h"
#include "image/image.h"
#include "source/location.h"

/* Images of other machines up to this size are read side by side, larger ones one at a time: it bounds the memory, as
 * it is not known how large they are before they are asked for. */
#define SMALL_BYTES ((int64_t)16 << 20)

struct cl_originals {
    coulis_image_options options;
    cl_remote *remote; /* NULL: all images are files of this machine */
    cl_members members;
    cl_pool *pool;    /* the caller's, by as many threads as may decode */
    cl_pool *readers; /* NULL: those of `pool` */
    cl_mutex large;   /* held by who has an image of more than SMALL_BYTES */
    cl_mutex mutex;   /* of what follows */
    cl_condition freed;
    int32_t decoding;
};

coulis_status cl_originals_open(const char *const *paths, int64_t count, const coulis_collection_options *options,
                                cl_pool *pool, cl_originals **originals, coulis_error *error) {
    cl_originals *o = cl_alloc_zero(1, sizeof *o);
    if (!o) return cl_fail_memory(error, "thumbnails", sizeof *o);
    cl_mutex_init(&o->large);
    cl_mutex_init(&o->mutex);
    cl_condition_init(&o->freed);
    o->pool = pool;
    coulis_image_options_init(&o->options, sizeof o->options);
    o->options.resize = COULIS_RESIZE_CROP;
    o->options.orient = COULIS_ORIENT_EXIF;
    o->options.alpha = COULIS_ALPHA_WHITE;
    o->options.decode = COULIS_DECODE_FAST;
    bool elsewhere = false;
    for (int64_t i = 0; i < count && !elsewhere; i++) elsewhere = cl_location_is_remote(paths[i]);
    const cl_remote_options how = cl_remote_how(options->no_sign_request, options->requester_pays);
    cl_members_begin(&o->members, &how);
    coulis_status status = elsewhere ? cl_remote_create(&how, &o->remote, error) : COULIS_OK;
    if (!status && elsewhere && cl_pool_threads(pool) < CL_REMOTE_READERS)
        status = cl_pool_create(CL_REMOTE_READERS, &o->readers, error);
    if (status) cl_originals_close(o);
    else *originals = o;
    return status;
}

void cl_originals_close(cl_originals *o) {
    if (!o) return;
    cl_members_end(&o->members);
    cl_pool_free(o->readers);
    cl_remote_free(o->remote);
    cl_condition_destroy(&o->freed);
    cl_mutex_destroy(&o->mutex);
    cl_mutex_destroy(&o->large);
    cl_free(o);
}

cl_pool *cl_originals_pool(const cl_originals *o) { return o->readers ? o->readers : o->pool; }

void cl_originals_stop(cl_originals *o) {
    if (o->remote) cl_remote_stop(o->remote);
}

/* Decoding takes memory and a processor, of which the caller's number of threads is to have its share. */
static void begin_decoding(cl_originals *o) {
    cl_mutex_lock(&o->mutex);
    while (o->decoding == cl_pool_threads(o->pool)) cl_condition_wait(&o->freed, &o->mutex);
    o->decoding++;
    cl_mutex_unlock(&o->mutex);
}

static void end_decoding(cl_originals *o) {
    cl_mutex_lock(&o->mutex);
    o->decoding--;
    cl_condition_signal(&o->freed);
    cl_mutex_unlock(&o->mutex);
}

coulis_status cl_originals_find(cl_originals *o, const char *path, size_t *length, coulis_error *error) {
    return cl_members_find(&o->members, o->remote, path, length, error);
}

cl_members *cl_originals_members(cl_originals *o) { return &o->members; }

int64_t cl_originals_max_bytes(const cl_originals *o) { return o->options.max_bytes; }

static coulis_status decode(const cl_originals *o, const char *path, const uint8_t *bytes, size_t size, int32_t side,
                            uint8_t *rgb, coulis_error *error) {
    int32_t width, height;
    return cl_image_decode(path, bytes, size, &o->options, side, side, rgb, &width, &height, error);
}

coulis_status cl_originals_decode(cl_originals *o, const char *path, const uint8_t *bytes, size_t size, int32_t side,
                                  uint8_t *rgb, coulis_error *error) {
    begin_decoding(o);
    coulis_status status = decode(o, path, bytes, size, side, rgb, error);
    end_decoding(o);
    return status;
}

coulis_status cl_originals_load(cl_originals *o, const char *path, int32_t side, uint8_t *rgb, coulis_error *error) {
    const bool elsewhere = cl_location_is_remote(path);
    const int64_t limit = o->options.max_bytes, small = limit < SMALL_BYTES ? limit : SMALL_BYTES;
    bool is_large = false;
    uint8_t *bytes = NULL;
    size_t size = 0;
    coulis_status status = COULIS_OK;
    if (elsewhere) {
        status = cl_location_read(o->remote, path, small, &bytes, &size, NULL, error);
        is_large = status == COULIS_TOO_LARGE && small < limit;
        if (is_large) {
            cl_mutex_lock(&o->large);
            status = cl_location_read(o->remote, path, limit, &bytes, &size, NULL, error);
        }
    }
    if (!status) {
        begin_decoding(o);
        if (!elsewhere) status = cl_location_read(NULL, path, limit, &bytes, &size, NULL, error);
        if (!status) status = decode(o, path, bytes, size, side, rgb, error);
        end_decoding(o);
    }
    cl_free(bytes);
    if (is_large) cl_mutex_unlock(&o->large);
    return status;
}

void cl_missing_tell(const cl_missing *missing, int64_t count, const coulis_collection_options *options) {
    char sentence[sizeof missing->first.message + 160];
    if (missing->count == 0 || !options->warn) return;
    snprintf(sentence, sizeof sentence,
             "%" PRId64 " of %" PRId64 " images could not be read again and have no thumbnail; the first: %s",
             missing->count, count, missing->first.message);
    options->warn(options->warn_context, sentence);
}
