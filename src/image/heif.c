/* HEIC and HEIF, by the system's libheif: HEVC is patented, so no package of coulis holds a decoder for it. */
#include <errno.h>

#include "image/canvas.h"
#include "image/late.h"

/* What is used of libheif's interface, which has been stable since 1.0. */
typedef struct heif_error {
    int code, subcode;
    const char *message;
} heif_error;
enum { MEMORY_ERROR = 6, UNSUPPORTED_FEATURE = 4, UNSUPPORTED_CODEC = 3000 };
enum { SPACE_RGB = 1, CHROMA_RGB = 10, CHROMA_RGBA = 11, CHANNEL_INTERLEAVED = 10 };

typedef struct library {
    void *(*context_alloc)(void);
    void (*context_free)(void *context);
    heif_error (*read)(void *context, const void *bytes, size_t size, const void *options);
    heif_error (*primary)(void *context, void **handle);
    void (*handle_release)(const void *handle);
    int (*width)(const void *handle);
    int (*height)(const void *handle);
    int (*has_alpha)(const void *handle);
    heif_error (*decode)(const void *handle, void **decoded, int space, int chroma, const void *options);
    void (*image_release)(const void *decoded);
    const uint8_t *(*plane)(const void *decoded, int channel, int *stride);
    int (*image_width)(const void *decoded, int channel);
    int (*image_height)(const void *decoded, int channel);
} library;

static const char *const symbols[] = {"heif_context_alloc",
                                      "heif_context_free",
                                      "heif_context_read_from_memory_without_copy",
                                      "heif_context_get_primary_image_handle",
                                      "heif_image_handle_release",
                                      "heif_image_handle_get_width",
                                      "heif_image_handle_get_height",
                                      "heif_image_handle_has_alpha_channel",
                                      "heif_decode_image",
                                      "heif_image_release",
                                      "heif_image_get_plane_readonly",
                                      "heif_image_get_width",
                                      "heif_image_get_height",
                                      NULL};
_Static_assert(sizeof(library) == sizeof symbols - sizeof *symbols, "a symbol for each function");

static const char *const files[] = {"libheif.so.1", "libheif.so", NULL};
static const cl_late libheif = {"HEIC", "libheif1 (libheif)", files, symbols};

static coulis_status fail(const cl_source *image, heif_error error) {
    if (error.code == MEMORY_ERROR || errno == ENOMEM) return cl_source_fail_memory(image);
    if (error.code == UNSUPPORTED_FEATURE && error.subcode == UNSUPPORTED_CODEC) {
        return cl_source_fail(image, COULIS_UNSUPPORTED,
                              "is a HEIF for whose codec this system's libheif has no "
                              "decoder: install libheif-plugin-libde265");
    }
    return cl_source_fail(image, COULIS_UNREADABLE, "is a damaged HEIF: %s",
                          error.message ? error.message : "its data are invalid");
}

static void copy_rows(const uint8_t *from, int stride, bool alpha, cl_canvas *canvas) {
    size_t width = (size_t)canvas->base.width;
    uint8_t *to = canvas->pixels;
    for (int32_t y = 0; y < canvas->base.height; y++, from += stride) {
        for (size_t x = 0; x < width; x++, to += 4) {
            to[3] = 255;
            memcpy(to, from + x * (alpha ? 4 : 3), alpha ? 4 : 3);
        }
    }
}

static coulis_status decode(cl_source *image, const library *l, const void *handle, cl_canvas **canvas) {
    int width = l->width(handle), height = l->height(handle);
    coulis_status status = cl_source_set_size(image, width > 0 ? (uint64_t)width : 0,
                                              height > 0 ? (uint64_t)height : 0);
    if (status) return status;
    bool alpha = l->has_alpha(handle);
    void *decoded = NULL;
    heif_error error = l->decode(handle, &decoded, SPACE_RGB, alpha ? CHROMA_RGBA : CHROMA_RGB, NULL);
    if (error.code) return fail(image, error);
    int stride = 0;
    const uint8_t *pixels = l->plane(decoded, CHANNEL_INTERLEAVED, &stride);
    if (!pixels || l->image_width(decoded, CHANNEL_INTERLEAVED) != width ||
        l->image_height(decoded, CHANNEL_INTERLEAVED) != height || stride < width * (alpha ? 4 : 3)) {
        status = fail(image, (heif_error){.message = "its pixels are not as many as it says"});
    } else {
        status = cl_canvas_create(image, canvas);
        if (!status) copy_rows(pixels, stride, alpha, *canvas);
    }
    l->image_release(decoded);
    return status;
}

/* libheif turns images itself, as the file says. */
static coulis_status open_with(cl_source *image, const library *l, cl_canvas **canvas) {
    errno = 0;
    void *context = l->context_alloc(), *handle = NULL;
    if (!context) return cl_source_fail_memory(image);
    heif_error error = l->read(context, image->bytes, image->size, NULL);
    if (!error.code) error = l->primary(context, &handle);
    coulis_status status = error.code ? fail(image, error) : decode(image, l, handle, canvas);
    if (handle) l->handle_release(handle);
    l->context_free(context);
    return status;
}

coulis_status cl_heif_open(cl_source *image, cl_decoder **decoder) {
    library l;
    void *handle;
    coulis_status status = cl_late_load(image, &libheif, (void **)&l, &handle);
    if (status) return status;
    cl_canvas *canvas;
    status = open_with(image, &l, &canvas);
    cl_late_close(handle);
    if (!status) *decoder = &canvas->base;
    return status;
}

/* Files that name themselves after the container may hold either codec; the brands that follow tell which. */
coulis_status cl_heif_or_avif_open(cl_source *image, cl_decoder **decoder) {
    size_t size = image->size < 256 ? image->size : 256, box = (size_t)image->bytes[2] << 8 | image->bytes[3];
    for (size_t at = 16; at + 4 <= size && at + 4 <= box; at += 4) {
        const uint8_t *brand = image->bytes + at;
        if (memcmp(brand, "avif", 4) == 0 || memcmp(brand, "avis", 4) == 0) return cl_avif_open(image, decoder);
    }
    return cl_heif_open(image, decoder);
}
