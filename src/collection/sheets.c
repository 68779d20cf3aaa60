#include "collection/sheets.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include "base/sync.h"

/* Of JPEG, 0 to 100: small, and still good at this size. */
#define QUALITY 72

/* Images of an archive that are decoded side by side, and the bytes at which no more of them wait. */
#define BATCH 64
#define BATCH_BYTES ((size_t)64 << 20)

typedef struct drawing {
    cl_originals *originals;
    const char *const *paths;
    int32_t side;
    uint8_t *rgb;        /* the sheet */
    uint8_t *scratch;    /* for each thread: one thumbnail */
    _Atomic bool failed; /* the machine or a server, not an image */
    coulis_error error;  /* written by whoever set `failed` */
    cl_mutex mutex;      /* of what follows */
    cl_missing missing;
    int64_t first;   /* which image missing.first is about */
    size_t *archive; /* of each image: bytes of the name of the archive that it is in; 0: in none, or it was read */
    /* Of an archive, what waits to be decoded. */
    struct {
        int64_t number;
        uint8_t *bytes;
        size_t size;
    } batch[BATCH];
    int64_t waiting;
    size_t waiting_bytes;
} drawing;

/* Whichever thread finds them, `first` is of the first image. */
static void add_missing(drawing *d, int64_t i, const coulis_error *error) {
    cl_mutex_lock(&d->mutex);
    if (d->missing.count++ == 0 || i < d->first) {
        d->missing.first = *error;
        d->first = i;
    }
    cl_mutex_unlock(&d->mutex);
}

static uint8_t *thumb_of(const drawing *d, int32_t worker) {
    return d->scratch + (size_t)worker * 3 * (size_t)d->side * (size_t)d->side;
}

/* Puts a thumbnail, or why there is none, in its place. */
static void place(drawing *d, int64_t i, uint8_t *thumb, coulis_status status, const coulis_error *error) {
    const size_t row = (size_t)d->side * 3, stride = row * CL_SHEET_COLUMNS;
    if (status >= COULIS_INVALID_ARGUMENT) {
        if (!atomic_exchange(&d->failed, true)) d->error = *error;
        cl_originals_stop(d->originals);
        return;
    }
    if (status) {
        memset(thumb, 0x99, row * (size_t)d->side);
        add_missing(d, i, error);
    }
    const size_t down = (size_t)(i / CL_SHEET_COLUMNS) * (size_t)d->side, across = (size_t)(i % CL_SHEET_COLUMNS);
    uint8_t *to = d->rgb + down * stride + across * row;
    for (int32_t y = 0; y < d->side; y++) memcpy(to + (size_t)y * stride, thumb + (size_t)y * row, row);
}

static void draw(void *context, int64_t i, int32_t worker) {
    drawing *d = context;
    coulis_error error;
    if (d->archive[i] > 0 || atomic_load(&d->failed)) return;
    uint8_t *thumb = thumb_of(d, worker);
    const coulis_status status = cl_originals_load(d->originals, d->paths[i], d->side, thumb, &error);
    place(d, i, thumb, status, &error);
}

/* ---- images in archives ---- */

static void draw_waiting(void *context, int64_t piece, int32_t worker) {
    drawing *d = context;
    coulis_error error;
    const int64_t i = d->batch[piece].number;
    uint8_t *thumb = thumb_of(d, worker), *bytes = d->batch[piece].bytes;
    const coulis_status status = cl_originals_decode(d->originals, d->paths[i], bytes, d->batch[piece].size, d->side,
                                                     thumb, &error);
    cl_free(bytes);
    place(d, i, thumb, status, &error);
}

static coulis_status draw_batch(drawing *d, coulis_error *error) {
    cl_pool_run(cl_originals_pool(d->originals), d->waiting, draw_waiting, d);
    d->waiting = 0;
    d->waiting_bytes = 0;
    return atomic_load(&d->failed) ? cl_fail(error, (coulis_status)d->error.status, "%s", d->error.message) : COULIS_OK;
}

static coulis_status take(void *context, int64_t number, uint8_t *bytes, size_t size, const coulis_error *reason,
                          coulis_error *error) {
    drawing *d = context;
    if (!bytes) {
        place(d, number, thumb_of(d, 0), COULIS_UNREADABLE, reason); /* no other thread is at work */
        return COULIS_OK;
    }
    d->batch[d->waiting].number = number;
    d->batch[d->waiting].bytes = bytes;
    d->batch[d->waiting++].size = size;
    d->waiting_bytes += size;
    return d->waiting == BATCH || d->waiting_bytes >= BATCH_BYTES ? draw_batch(d, error) : COULIS_OK;
}

/* Draws what is in the same archive as image `first`; `numbers` has room for all. */
static coulis_status draw_archive(drawing *d, int64_t first, int64_t count, int64_t *numbers, coulis_error *error) {
    const size_t length = d->archive[first];
    int64_t wanted = 0;
    for (int64_t i = first; i < count; i++) {
        if (d->archive[i] != length || memcmp(d->paths[i], d->paths[first], length) != 0) continue;
        d->archive[i] = 0;
        numbers[wanted++] = i;
    }
    coulis_status status = cl_members_read(cl_originals_members(d->originals), d->paths, numbers, wanted, length,
                                           cl_originals_max_bytes(d->originals), take, d, error);
    if (!status) return draw_batch(d, error);
    for (int64_t i = 0; i < d->waiting; i++) cl_free(d->batch[i].bytes);
    d->waiting = 0;
    return status;
}

static coulis_status draw_all(drawing *d, int64_t count, coulis_error *error) {
    int64_t *numbers = cl_alloc((size_t)count, sizeof *numbers);
    d->archive = cl_alloc_zero((size_t)count, sizeof *d->archive);
    coulis_status status = COULIS_OK;
    if (!numbers || !d->archive) status = cl_fail_memory(error, "thumbnails", (size_t)count * sizeof *numbers * 2);
    for (int64_t i = 0; i < count && !status; i++)
        status = cl_originals_find(d->originals, d->paths[i], &d->archive[i], error);
    if (!status) cl_pool_run(cl_originals_pool(d->originals), count, draw, d);
    if (!status && atomic_load(&d->failed))
        status = cl_fail(error, (coulis_status)d->error.status, "%s", d->error.message);
    for (int64_t i = 0; i < count && !status; i++)
        if (d->archive[i] > 0) status = draw_archive(d, i, count, numbers, error);
    cl_free(numbers);
    cl_free(d->archive);
    return status;
}

/* ---- the sheet ---- */

typedef struct jump {
    struct jpeg_error_mgr manager; /* first, so that libjpeg's pointer is ours */
    jmp_buf back;
} jump;

static void give_up(j_common_ptr info) { longjmp(((jump *)(void *)info->err)->back, 1); }

/* libjpeg fails here only when out of memory. */
static bool encode(uint8_t *rgb, JDIMENSION width, JDIMENSION height, cl_sheet *sheet) {
    struct jpeg_compress_struct jpeg;
    jump errors;
    jpeg.err = jpeg_std_error(&errors.manager);
    errors.manager.error_exit = give_up;
    sheet->jpeg = NULL;
    sheet->size = 0;
    if (setjmp(errors.back)) {
        jpeg_destroy_compress(&jpeg);
        free(sheet->jpeg);
        sheet->jpeg = NULL;
        return false;
    }
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &sheet->jpeg, &sheet->size);
    jpeg.image_width = width;
    jpeg.image_height = height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, QUALITY, TRUE);
    jpeg.optimize_coding = TRUE;
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < height) {
        JSAMPROW row = rgb + (size_t)jpeg.next_scanline * width * 3;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return true;
}

coulis_status cl_sheet_make(cl_originals *originals, const char *const *paths, int64_t count, int32_t side,
                            cl_sheet *sheet, cl_missing *missing, coulis_error *error) {
    cl_pool *pool = cl_originals_pool(originals);
    const size_t rows = ((size_t)count + CL_SHEET_COLUMNS - 1) / CL_SHEET_COLUMNS, edge = (size_t)side;
    const size_t bytes = rows * CL_SHEET_COLUMNS * edge * edge * 3;
    drawing d = {.originals = originals, .paths = paths, .side = side};
    cl_mutex_init(&d.mutex);
    atomic_init(&d.failed, false);
    d.rgb = cl_alloc_zero(bytes, 1);
    d.scratch = cl_alloc((size_t)cl_pool_threads(pool), edge * edge * 3);
    coulis_status status = d.rgb && d.scratch ? draw_all(&d, count, error)
                                              : cl_fail_memory(error, "a sheet of thumbnails", bytes);
    if (!status && !encode(d.rgb, (JDIMENSION)(CL_SHEET_COLUMNS * edge), (JDIMENSION)(rows * edge), sheet))
        status = cl_fail_memory(error, "a sheet of thumbnails", bytes);
    if (missing->count == 0) missing->first = d.missing.first;
    missing->count += d.missing.count;
    cl_mutex_destroy(&d.mutex);
    cl_free(d.rgb);
    cl_free(d.scratch);
    return status;
}
