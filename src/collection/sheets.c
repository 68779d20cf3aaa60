#include "collection/sheets.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "base/error.h"
#include "base/memory.h"

/* Of JPEG, 0 to 100: small, and still good at this size. */
#define QUALITY 72

typedef struct drawing {
    const char *const *paths;
    coulis_image_options options;
    int32_t side;
    uint8_t *rgb;     /* the sheet */
    uint8_t *scratch; /* for each thread: one thumbnail */
    _Atomic int64_t missing;
    _Atomic bool failed; /* the machine, not an image */
    coulis_error error;  /* written by whoever set `failed` */
} drawing;

static void draw(void *context, int64_t i, int32_t worker) {
    drawing *d = context;
    const size_t row = (size_t)d->side * 3, stride = row * CL_SHEET_COLUMNS;
    uint8_t *thumb = d->scratch + (size_t)worker * row * (size_t)d->side;
    coulis_error error;
    const coulis_status status = coulis_image_load(d->paths[i], &d->options, d->side, d->side, thumb, NULL, &error);
    if (status) {
        memset(thumb, 0x99, row * (size_t)d->side);
        atomic_fetch_add(&d->missing, 1);
        if (status >= COULIS_INVALID_ARGUMENT && !atomic_exchange(&d->failed, true)) d->error = error;
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

coulis_status cl_sheet_make(const char *const *paths, int64_t count, int32_t side, cl_pool *pool, cl_sheet *sheet,
                            coulis_error *error) {
    const size_t rows = ((size_t)count + CL_SHEET_COLUMNS - 1) / CL_SHEET_COLUMNS, edge = (size_t)side;
    const size_t bytes = rows * CL_SHEET_COLUMNS * edge * edge * 3;
    drawing d = {.paths = paths, .side = side};
    coulis_image_options_init(&d.options, sizeof d.options);
    d.options.resize = COULIS_RESIZE_CROP;
    d.options.orient = COULIS_ORIENT_EXIF;
    d.options.alpha = COULIS_ALPHA_WHITE;
    d.options.decode = COULIS_DECODE_FAST;
    atomic_init(&d.missing, 0);
    atomic_init(&d.failed, false);
    d.rgb = cl_alloc_zero(bytes, 1);
    d.scratch = cl_alloc((size_t)cl_pool_threads(pool), edge * edge * 3);
    coulis_status status = COULIS_OK;
    if (d.rgb && d.scratch) cl_pool_run(pool, count, draw, &d);
    if (atomic_load(&d.failed)) status = cl_fail(error, (coulis_status)d.error.status, "%s", d.error.message);
    else if (!d.rgb || !d.scratch ||
             !encode(d.rgb, (JDIMENSION)(CL_SHEET_COLUMNS * edge), (JDIMENSION)(rows * edge), sheet))
        status = cl_fail_memory(error, "a sheet of thumbnails", bytes);
    sheet->missing = atomic_load(&d.missing);
    cl_free(d.rgb);
    cl_free(d.scratch);
    return status;
}
