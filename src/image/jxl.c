/* JPEG XL, by the system's libjxl, whose interface was not settled when Debian 12 came out. */
#include <errno.h>

#include "image/canvas.h"
#include "image/late.h"

/* What is used of libjxl's interface, the same in 0.7 to 0.11. */
enum { SUCCESS = 0, ERROR = 1, NEED_MORE_INPUT = 2, NEED_BUFFER = 5, BASIC_INFO = 0x40, FULL_IMAGE = 0x1000 };
typedef struct pixel_format {
    uint32_t channels;
    int type, endianness; /* 2: 8 bits without a sign; 0: of this machine */
    size_t align;
} pixel_format;
/* The beginning of JxlBasicInfo, and more room than it takes. */
typedef struct basic_info {
    int have_container;
    uint32_t width, height;
    uint8_t rest[1024];
} basic_info;

typedef struct library {
    void *(*create)(const void *memory);
    void (*destroy)(void *decoder);
    int (*subscribe)(void *decoder, int events);
    int (*set_input)(void *decoder, const uint8_t *bytes, size_t size);
    void (*close_input)(void *decoder);
    int (*process)(void *decoder);
    int (*get_info)(const void *decoder, basic_info *info);
    int (*buffer_size)(const void *decoder, const pixel_format *format, size_t *size);
    int (*set_buffer)(void *decoder, const pixel_format *format, void *buffer, size_t size);
} library;

static const char *const symbols[] = {"JxlDecoderCreate",
                                      "JxlDecoderDestroy",
                                      "JxlDecoderSubscribeEvents",
                                      "JxlDecoderSetInput",
                                      "JxlDecoderCloseInput",
                                      "JxlDecoderProcessInput",
                                      "JxlDecoderGetBasicInfo",
                                      "JxlDecoderImageOutBufferSize",
                                      "JxlDecoderSetImageOutBuffer",
                                      NULL};
_Static_assert(sizeof(library) == sizeof symbols - sizeof *symbols, "a symbol for each function");

static const char *const files[] = {"libjxl.so.0.11", "libjxl.so.0.10", "libjxl.so.0.9",
                                    "libjxl.so.0.8",  "libjxl.so.0.7",  NULL};
static const cl_late libjxl = {"JPEG XL", "libjxl (Debian 12: libjxl0.7)", files, symbols};

static coulis_status fail(const cl_source *image, const char *what) {
    if (errno == ENOMEM) return cl_source_fail_memory(image);
    return cl_source_fail(image, COULIS_UNREADABLE, "is a damaged JPEG XL: %s", what);
}

static coulis_status read_info(cl_source *image, const library *l, void *jxl) {
    basic_info info;
    if (l->get_info(jxl, &info)) return fail(image, "it has no size");
    return cl_source_set_size(image, info.width, info.height); /* already turned upright */
}

static coulis_status give_buffer(cl_source *image, const library *l, void *jxl, cl_canvas **canvas) {
    static const pixel_format rgba = {.channels = 4, .type = 2};
    if (*canvas || image->stored_width == 0) return fail(image, "its frames are out of order");
    coulis_status status = cl_canvas_create(image, canvas);
    if (status) return status;
    size_t room = (size_t)image->stored_width * (size_t)image->stored_height * 4, size = 0;
    if (l->buffer_size(jxl, &rgba, &size) || size != room || l->set_buffer(jxl, &rgba, (*canvas)->pixels, size))
        return fail(image, "its pixels are not as many as it says");
    return COULIS_OK;
}

/* Up to the end of the first frame. */
static coulis_status decode(cl_source *image, const library *l, void *jxl, cl_canvas **canvas) {
    if (l->subscribe(jxl, BASIC_INFO | FULL_IMAGE) || l->set_input(jxl, image->bytes, image->size))
        return fail(image, "it cannot be decoded");
    l->close_input(jxl);
    for (;;) {
        coulis_status status = COULIS_OK;
        switch (l->process(jxl)) {
        case BASIC_INFO: status = read_info(image, l, jxl); break;
        case NEED_BUFFER: status = give_buffer(image, l, jxl, canvas); break;
        case FULL_IMAGE: return *canvas ? COULIS_OK : fail(image, "it has no frame");
        case NEED_MORE_INPUT: return fail(image, "it is cut short");
        case SUCCESS: return fail(image, "it has no frame");
        default: return fail(image, "its data are invalid");
        }
        if (status) return status;
    }
}

coulis_status cl_jxl_open(cl_source *image, cl_decoder **decoder) {
    library l;
    void *handle;
    coulis_status status = cl_late_load(image, &libjxl, (void **)&l, &handle);
    if (status) return status;
    errno = 0;
    cl_canvas *canvas = NULL;
    void *jxl = l.create(NULL);
    status = jxl ? decode(image, &l, jxl, &canvas) : cl_source_fail_memory(image);
    if (jxl) l.destroy(jxl);
    cl_late_close(handle);
    if (status) cl_canvas_free(canvas);
    else *decoder = &canvas->base;
    return status;
}
