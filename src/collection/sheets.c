#include "collection/sheets.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/sync.h"

/* Of JPEG, 0 to 100: small, and still good at this size. */
#define QUALITY 72

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
    int64_t first; /* which image missing.first is about */
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

static void draw(void *context, int64_t i, int32_t worker) {
    drawing *d = context;
    const size_t row = (size_t)d->side * 3, stride = row * CL_SHEET_COLUMNS;
    uint8_t *thumb = d->scratch + (size_t)worker * row * (size_t)d->side;
    coulis_error error;
    if (atomic_load(&d->failed)) return;
    const coulis_status status = cl_originals_load(d->originals, d->paths[i], d->side, thumb, &error);
    if (status >= COULIS_INVALID_ARGUMENT) {
        if (!atomic_exchange(&d->failed, true)) d->error = error;
        cl_originals_stop(d->originals);
        return;
    }
    if (status) {
        memset(thumb, 0x99, row * (size_t)d->side);
        add_missing(d, i, &error);
    }
    const size_t down = (size_t)(i / CL_SHEET_COLUMNS) * (size_t)d->side, across = (size_t)(i % CL_SHEET_COLUMNS);
    uint8_t *to = d->rgb + down * stride + across * row;
    for (int32_t y = 0; y < d->side; y++) memcpy(to + (size_t)y * stride, thumb + (size_t)y * row, row);
}

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
    coulis_status status = COULIS_OK;
    if (d.rgb && d.scratch) cl_pool_run(pool, count, draw, &d);
    if (atomic_load(&d.failed)) status = cl_fail(error, (coulis_status)d.error.status, "%s", d.error.message);
    else if (!d.rgb || !d.scratch ||
             !encode(d.rgb, (JDIMENSION)(CL_SHEET_COLUMNS * edge), (JDIMENSION)(rows * edge), sheet))
        status = cl_fail_memory(error, "a sheet of thumbnails", bytes);
    if (missing->count == 0) missing->first = d.missing.first;
    missing->count += d.missing.count;
    cl_mutex_destroy(&d.mutex);
    cl_free(d.rgb);
    cl_free(d.scratch);
    return status;
}
