#include "image/decoder.h"

/* Rows asked of the decoder behind at a time. */
#define ROWS_AT_ONCE 16

typedef struct oriented {
    cl_decoder base;
    cl_decoder *behind;
    uint8_t *pixels;
    ptrdiff_t start;  /* the stored pixel that is first when upright, */
    ptrdiff_t column; /* how far from it is the one to its right, */
    ptrdiff_t row;    /* and the one below it */
    int32_t next;
} oriented;

/* Reads straight on in several rows at once: when the image is turned by a quarter, neighbours
 * in memory are in different rows. */
static coulis_status read_rows(cl_decoder *decoder, uint8_t *const *rows, int32_t count) {
    oriented *o = (oriented *)decoder;
    for (int32_t x = 0; x < o->base.width; x++) {
        const uint8_t *from = o->pixels + (o->start + o->next * o->row + x * o->column) * 4;
        for (int32_t i = 0; i < count; i++) memcpy(rows[i] + (size_t)x * 4, from + i * o->row * 4, 4);
    }
    o->next += count;
    return COULIS_OK;
}

static coulis_status finish(cl_decoder *decoder) {
    oriented *o = (oriented *)decoder;
    return cl_decoder_finish(o->behind);
}

static void close_oriented(cl_decoder *decoder) {
    oriented *o = (oriented *)decoder;
    if (o->behind) o->behind->close(o->behind);
    cl_free(o->pixels);
    cl_free(o);
}

static coulis_status read_all(oriented *o) {
    cl_decoder *behind = o->behind;
    size_t stride = (size_t)behind->width * 4;
    for (int32_t y = 0; y < behind->height; y += ROWS_AT_ONCE) {
        uint8_t *rows[ROWS_AT_ONCE];
        int32_t count = behind->height - y < ROWS_AT_ONCE ? behind->height - y : ROWS_AT_ONCE;
        for (int32_t i = 0; i < count; i++) rows[i] = o->pixels + (size_t)(y + i) * stride;
        coulis_status status = behind->rows(behind, rows, count);
        if (status) return status;
    }
    return COULIS_OK;
}

/* Orientation n: 2 mirrored, 3 half turned, 4 upside down and mirrored, 5 to 8 these with
 * rows and columns exchanged. */
static void set_steps(oriented *o, int32_t orientation) {
    ptrdiff_t width = o->behind->width, height = o->behind->height;
    bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    ptrdiff_t along = from_right ? -1 : 1, down = from_bottom ? -width : width;
    o->start = (from_right ? width - 1 : 0) + (from_bottom ? (height - 1) * width : 0);
    o->column = orientation >= 5 ? down : along;
    o->row = orientation >= 5 ? along : down;
    o->base.width = (int32_t)(orientation >= 5 ? height : width);
    o->base.height = (int32_t)(orientation >= 5 ? width : height);
    cl_box box = o->behind->box;
    if (from_right) box = (cl_box){(double)width - box.right, box.top, (double)width - box.left, box.bottom};
    if (from_bottom) box = (cl_box){box.left, (double)height - box.bottom, box.right, (double)height - box.top};
    o->base.box = orientation >= 5 ? (cl_box){box.top, box.left, box.bottom, box.right} : box;
}

coulis_status cl_orient(const cl_source *image, cl_decoder **decoder) {
    oriented *o = cl_alloc_zero(1, sizeof *o);
    if (!o) return cl_source_fail_memory(image);
    o->behind = *decoder;
    o->base = (cl_decoder){.orientation = 1, .rows = read_rows, .finish = finish, .close = close_oriented};
    set_steps(o, (*decoder)->orientation);
    o->pixels = cl_alloc((size_t)o->base.width * 4, (size_t)o->base.height);
    coulis_status status = o->pixels ? read_all(o) : cl_source_fail_memory(image);
    if (status) {
        o->behind = NULL;
        close_oriented(&o->base);
        return status;
    }
    *decoder = &o->base;
    return COULIS_OK;
}
