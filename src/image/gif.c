/* GIF: the first frame on its screen, as Pillow composes it. CompuServe, Graphics Interchange Format, version 89a. */
#include "image/bytes.h"
#include "image/canvas.h"
#include "image/gif_lzw.h"

typedef struct gif {
    cl_source *image;
    size_t at;                             /* what is read next */
    const uint8_t *global_colors, *colors; /* red, green, blue; NULL: an index is its own grey */
    uint32_t global_count, count;
    int32_t transparent; /* index, -1 for none */
    uint32_t screen_width, screen_height;
    uint32_t left, top, width, height;
    bool interlaced;
    uint8_t bits; /* of the first codes */
} gif;

static coulis_status fail(const gif *g, const char *what) {
    return cl_source_fail(g->image, COULIS_UNREADABLE, "is a damaged GIF: %s, at byte %zu", what, g->at);
}

static size_t left(const gif *g) { return g->image->size - g->at; }

/* A palette that gives each index its own grey counts for none. */
static const uint8_t *needed(const uint8_t *colors, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        for (int k = 0; k < 3; k++)
            if (colors[3 * i + (uint32_t)k] != i) return colors;
    }
    return NULL;
}

static coulis_status read_palette(gif *g, uint8_t flags, const uint8_t **colors, uint32_t *count) {
    *count = 2u << (flags & 7);
    if (left(g) < 3 * (size_t)*count) return fail(g, "a palette cut short");
    *colors = needed(g->image->bytes + g->at, *count);
    g->at += 3 * (size_t)*count;
    return COULIS_OK;
}

/* The next block of data: *size bytes at the return value; NULL for the empty one that ends a sequence, and at the end
 * of the file. */
static const uint8_t *next_block(gif *g, size_t *size) {
    if (left(g) == 0) return NULL;
    *size = g->image->bytes[g->at++];
    if (*size == 0) return NULL;
    if (*size > left(g)) *size = left(g);
    const uint8_t *block = g->image->bytes + g->at;
    g->at += *size;
    return *size ? block : NULL;
}

static coulis_status read_extension(gif *g) {
    if (left(g) == 0) return fail(g, "an extension cut short");
    uint8_t label = g->image->bytes[g->at++];
    size_t size = 0;
    const uint8_t *block = next_block(g, &size);
    if (label == 0xF9 && block) { /* graphic control */
        if (size < 3 || ((block[0] & 1) && size < 4)) return fail(g, "a graphic control extension cut short");
        if (block[0] & 1) g->transparent = block[3];
    }
    if (label == 0xFE && !block) return COULIS_OK; /* an empty comment */
    while (next_block(g, &size)) continue;
    return COULIS_OK;
}

static coulis_status read_frame(gif *g) {
    if (left(g) < 9) return fail(g, "a frame header cut short");
    const uint8_t *b = g->image->bytes + g->at;
    g->at += 9;
    g->left = cl_little16(b);
    g->top = cl_little16(b + 2);
    g->width = cl_little16(b + 4);
    g->height = cl_little16(b + 6);
    g->interlaced = b[8] & 0x40;
    g->colors = g->global_colors;
    g->count = g->global_count;
    coulis_status status = b[8] & 0x80 ? read_palette(g, b[8], &g->colors, &g->count) : COULIS_OK;
    if (status) return status;
    if (left(g) == 0) return fail(g, "no data follow the frame header");
    g->bits = g->image->bytes[g->at++];
    return COULIS_OK;
}

/* Everything up to the data of the first frame. */
static coulis_status read_header(gif *g) {
    if (left(g) < 13) return fail(g, "a header cut short");
    const uint8_t *b = g->image->bytes;
    g->screen_width = cl_little16(b + 6);
    g->screen_height = cl_little16(b + 8);
    g->at = 13;
    coulis_status status = b[10] & 0x80 ? read_palette(g, b[10], &g->global_colors, &g->global_count) : COULIS_OK;
    while (!status) {
        if (left(g) == 0 || b[g->at] == ';') return fail(g, "no frame before the end");
        uint8_t introducer = b[g->at++];
        if (introducer == ',') return read_frame(g);
        if (introducer == '!') status = read_extension(g);
    }
    return status;
}

static coulis_status place_frame(gif *g) {
    uint32_t right = g->left + g->width, bottom = g->top + g->height;
    uint32_t width = right > g->screen_width ? right : g->screen_width;
    uint32_t height = bottom > g->screen_height ? bottom : g->screen_height;
    coulis_status status = cl_source_set_size(g->image, width, height);
    if (status) return status;
    if (g->left == 0 && g->width == 0) { /* as Pillow takes it: all of the screen */
        g->top = 0;
        g->width = width;
        g->height = height;
    }
    return g->width && g->height ? COULIS_OK : fail(g, "a frame without pixels");
}

static void paint(const gif *g, const uint8_t *indices, uint8_t *pixels, size_t count) {
    uint8_t table[256][4];
    for (uint32_t i = 0; i < 256; i++) {
        uint8_t grey = g->colors ? 0 : (uint8_t)i;
        table[i][0] = table[i][1] = table[i][2] = grey;
        table[i][3] = g->transparent == (int32_t)i ? 0 : 255;
        if (g->colors && i < g->count) memcpy(table[i], g->colors + 3 * i, 3);
    }
    for (size_t i = 0; i < count; i++) memcpy(pixels + 4 * i, table[indices[i]], 4);
}

static coulis_status decode_frame(gif *g, uint8_t *pixels) {
    size_t width = (size_t)g->image->stored_width, count = width * (size_t)g->image->stored_height;
    uint8_t *indices = cl_alloc_zero(count, 1);
    if (!indices) return cl_source_fail_memory(g->image);
    if (g->transparent >= 0) memset(indices, g->transparent, count); /* what no frame covers */
    cl_gif_area area = {indices + (size_t)g->top * width + g->left, width, g->width, g->height, g->interlaced};
    const char *wrong = cl_gif_inflate(g->image->bytes, g->image->size, &g->at, g->bits, &area);
    coulis_status status = COULIS_OK;
    if (wrong && g->image->options->truncated == COULIS_TRUNCATED_REFUSE) status = fail(g, wrong);
    else paint(g, indices, pixels, count);
    cl_free(indices);
    return status;
}

coulis_status cl_gif_open(cl_source *image, cl_decoder **decoder) {
    gif g = {.image = image, .transparent = -1};
    coulis_status status = read_header(&g);
    if (!status) status = place_frame(&g);
    if (!status && g.bits > 12) status = fail(&g, "codes of more than 12 bits");
    if (status) return status;
    cl_canvas *canvas;
    status = cl_canvas_create(image, &canvas);
    if (status) return status;
    status = decode_frame(&g, canvas->pixels);
    if (status) cl_canvas_free(canvas);
    else *decoder = &canvas->base;
    return status;
}
