/* Cameras' raw files: the preview that the camera put into them, taken out by the system's libraw. */
#include <errno.h>

#include "image/canvas.h"
#include "image/exif.h"
#include "image/late.h"

/* What is used of libraw's interface, stable since 0.14. */
enum { IMAGE_JPEG = 1, IMAGE_BITMAP = 2 };
typedef struct processed {
    int type;
    uint16_t height, width, colors, bits;
    uint32_t size;
    uint8_t data[1];
} processed;

typedef struct library {
    void *(*init)(unsigned flags);
    void (*close)(void *raw);
    int (*open_buffer)(void *raw, const void *bytes, size_t size);
    int (*unpack)(void *raw);
    processed *(*make)(void *raw, int *error);
    void (*clear)(processed *decoded);
    const char *(*text)(int error);
} library;

static const char *const symbols[] = {"libraw_init",
                                      "libraw_close",
                                      "libraw_open_buffer",
                                      "libraw_unpack_thumb",
                                      "libraw_dcraw_make_mem_thumb",
                                      "libraw_dcraw_clear_mem",
                                      "libraw_strerror",
                                      NULL};
_Static_assert(sizeof(library) == sizeof symbols - sizeof *symbols, "a symbol for each function");

/* _r: the build that several threads may use. */
static const char *const files[] = {"libraw_r.so.23", "libraw_r.so.22", "libraw_r.so.21",
                                    "libraw_r.so.20", "libraw_r.so.19", NULL};
static const cl_late libraw = {"a camera's raw file", "libraw (Debian 12: libraw20)", files, symbols};

static coulis_status fail(const cl_source *image, const char *what) {
    if (errno == ENOMEM) return cl_source_fail_memory(image);
    return cl_source_fail(image, COULIS_UNREADABLE, "is a raw file of a camera that cannot be read: %s", what);
}

/* The preview as a JPEG of its own. */
static coulis_status read_jpeg(cl_source *image, const processed *decoded, cl_canvas **canvas) {
    coulis_image_options exact = *image->options;
    exact.decode = COULIS_DECODE_EXACT; /* so that its rows are as many as its header says */
    cl_source inner = *image;
    inner.bytes = decoded->data;
    inner.size = decoded->size;
    inner.options = &exact;
    cl_decoder *jpeg;
    coulis_status status = cl_jpeg_open(&inner, &jpeg);
    image->stored_width = inner.stored_width;
    image->stored_height = inner.stored_height;
    if (status) return status;
    status = cl_canvas_create(image, canvas);
    size_t stride = (size_t)jpeg->width * 4;
    for (int32_t y = 0; !status && y < jpeg->height; y++) {
        uint8_t *row = (*canvas)->pixels + (size_t)y * stride;
        status = jpeg->rows(jpeg, &row, 1);
        for (size_t x = 0; x < stride; x += 4) row[x + 3] = 255;
    }
    if (!status) status = cl_decoder_finish(jpeg);
    if (!status) (*canvas)->base.orientation = jpeg->orientation;
    jpeg->close(jpeg);
    return status;
}

static coulis_status read_bitmap(cl_source *image, const processed *decoded, cl_canvas **canvas) {
    size_t count = (size_t)decoded->width * decoded->height;
    bool rgb = decoded->bits == 8 && decoded->colors == 3 && decoded->size >= count * 3;
    if (!rgb) return fail(image, "its preview is not RGB");
    coulis_status status = cl_source_set_size(image, decoded->width, decoded->height);
    if (!status) status = cl_canvas_create(image, canvas);
    for (size_t i = 0; !status && i < count; i++) {
        memcpy((*canvas)->pixels + 4 * i, decoded->data + 3 * i, 3);
        (*canvas)->pixels[4 * i + 3] = 255;
    }
    return status;
}

static coulis_status decode(cl_source *image, const library *l, void *raw, cl_canvas **canvas) {
    int error = l->open_buffer(raw, image->bytes, image->size);
    if (!error) error = l->unpack(raw);
    processed *decoded = error ? NULL : l->make(raw, &error);
    if (!decoded) return fail(image, error ? l->text(error) : "it has no preview");
    coulis_status status = decoded->type == IMAGE_JPEG     ? read_jpeg(image, decoded, canvas)
                           : decoded->type == IMAGE_BITMAP ? read_bitmap(image, decoded, canvas)
                                                           : fail(image, "a preview of another kind");
    l->clear(decoded);
    return status;
}

coulis_status cl_raw_open(cl_source *image, cl_decoder **decoder) {
    library l;
    void *handle;
    coulis_status status = cl_late_load(image, &libraw, (void **)&l, &handle);
    if (status) return status;
    errno = 0;
    cl_canvas *canvas = NULL;
    void *raw = l.init(0);
    status = raw ? decode(image, &l, raw, &canvas) : cl_source_fail_memory(image);
    if (raw) l.close(raw);
    cl_late_close(handle);
    if (status) {
        cl_canvas_free(canvas);
        return status;
    }
    /* A preview seldom says how it is turned; the file around it does. */
    if (canvas->base.orientation == 1 && image->options->orient == COULIS_ORIENT_EXIF)
        cl_exif_orientation(image->bytes, image->size, &canvas->base.orientation);
    *decoder = &canvas->base;
    return COULIS_OK;
}
