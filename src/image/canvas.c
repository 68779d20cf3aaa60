#include "image/canvas.h"

#include "image/bytes.h"

static coulis_status read_rows(cl_decoder *decoder, uint8_t *const *rows, int32_t count) {
    cl_canvas *c = (cl_canvas *)decoder;
    size_t width = (size_t)c->base.width;
    for (int32_t i = 0; i < count; i++, c->row++) {
        memcpy(rows[i], c->pixels + (size_t)c->row * width * 4, width * 4);
        if (c->white) cl_row_over_white(rows[i], width);
    }
    return COULIS_OK;
}

void cl_canvas_free(cl_canvas *canvas) {
    if (!canvas) return;
    cl_free(canvas->pixels);
    cl_free(canvas);
}

static void close_canvas(cl_decoder *decoder) { cl_canvas_free((cl_canvas *)decoder); }

coulis_status cl_canvas_create(const cl_source *image, cl_canvas **canvas) {
    cl_canvas *c = cl_alloc_zero(1, sizeof *c);
    if (!c) return cl_source_fail_memory(image);
    c->base = cl_decoder_of(image, read_rows, close_canvas);
    c->white = image->options->alpha == COULIS_ALPHA_WHITE;
    c->pixels = cl_alloc_zero((size_t)c->base.width * 4, (size_t)c->base.height);
    if (!c->pixels) {
        cl_canvas_free(c);
        return cl_source_fail_memory(image);
    }
    *canvas = c;
    return COULIS_OK;
}
