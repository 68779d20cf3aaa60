/* Strips and tiles without compression. */
#include "image/bytes.h"
#include "image/tiff.h"

typedef struct grid {
    cl_tiff_tag offsets;
    uint64_t tile_width, tile_height, across, down;
    uint32_t planes;
    uint64_t pixel_bits; /* in one plane */
} grid;

static coulis_status find_grid(const cl_tiff *t, grid *g) {
    uint64_t width = (uint64_t)t->image->stored_width, height = (uint64_t)t->image->stored_height;
    bool strips = t->fields[CL_TIFF_STRIP_OFFSETS].data != NULL;
    g->offsets = strips ? CL_TIFF_STRIP_OFFSETS : CL_TIFF_TILE_OFFSETS;
    g->tile_width = strips ? width : cl_tiff_number_or(t, CL_TIFF_TILE_WIDTH, 0);
    g->tile_height = strips ? cl_tiff_number_or(t, CL_TIFF_ROWS_PER_STRIP, height)
                            : cl_tiff_number_or(t, CL_TIFF_TILE_HEIGHT, 0);
    if (!t->fields[g->offsets].data) return cl_tiff_fail(t, "it does not say where its pixels are");
    if (g->tile_width < 1 || g->tile_width > UINT32_MAX || g->tile_height < 1 || g->tile_height > UINT32_MAX)
        return cl_tiff_fail(t, "it has strips or tiles of an impossible size");
    g->across = (width + g->tile_width - 1) / g->tile_width;
    g->down = (height + g->tile_height - 1) / g->tile_height;
    g->planes = t->planes ? t->samples : 1;
    g->pixel_bits = (uint64_t)t->bits * (t->planes ? 1 : t->samples);
    return COULIS_OK;
}

/* The first pixel of a row in the lowest bits, and so the bits of every byte the other way round. */
static void reverse_bits(uint8_t *row, size_t size) {
    for (size_t i = 0; i < size; i++) {
        uint32_t b = row[i];
        b = (b & 0xF0) >> 4 | (b & 0x0F) << 4;
        b = (b & 0xCC) >> 2 | (b & 0x33) << 2;
        row[i] = (uint8_t)((b & 0xAA) >> 1 | (b & 0x55) << 1);
    }
}

/* A tile, of which only what is within the image is used. `row` is room for one row of it. */
static coulis_status read_tile(const cl_tiff *t, const grid *g, uint64_t number, uint64_t offset, uint8_t *row) {
    const cl_source *p = t->image;
    uint64_t width = (uint64_t)p->stored_width, height = (uint64_t)p->stored_height;
    uint64_t in_plane = number % (g->across * g->down);
    uint64_t left = in_plane % g->across * g->tile_width, top = in_plane / g->across * g->tile_height;
    uint64_t columns = width - left < g->tile_width ? width - left : g->tile_width;
    uint64_t rows = height - top < g->tile_height ? height - top : g->tile_height;
    uint64_t bytes = (columns * g->pixel_bits + 7) / 8, stride = bytes;
    if (columns < g->tile_width) stride = g->tile_width * g->pixel_bits / 8;
    if (stride < bytes) return cl_tiff_fail(t, "its tiles are narrower than their pixels");
    for (uint64_t y = 0; y < rows; y++) {
        if (offset > p->size || p->size - offset < bytes) {
            if (p->options->truncated == COULIS_TRUNCATED_KEEP) return COULIS_OK;
            return cl_source_fail(p, COULIS_UNREADABLE,
                                  "is a TIFF cut short: it ends after %zu bytes, at row %llu of %d", p->size,
                                  (unsigned long long)(top + y), p->stored_height);
        }
        memcpy(row, p->bytes + offset, (size_t)bytes);
        if (t->reversed) reverse_bits(row, (size_t)bytes);
        uint8_t *to = t->canvas->pixels + ((top + y) * width + left) * 4;
        if (t->planes) cl_tiff_unpack_plane(t, (uint32_t)(number / (g->across * g->down)), row, to, (size_t)columns);
        else cl_tiff_unpack(t, row, to, (size_t)columns);
        offset += stride;
    }
    return COULIS_OK;
}

coulis_status cl_tiff_read_plain(cl_tiff *t) {
    grid g = {0};
    coulis_status status = find_grid(t, &g);
    if (status) return status;
    uint64_t count = t->fields[g.offsets].count, tiles = g.across * g.down * g.planes, offset;
    uint64_t first = tiles == 1 ? count - 1 : 0; /* of several that cover the image, Pillow takes the last */
    if (count - first > tiles) count = tiles;
    uint8_t *row = cl_alloc((size_t)(((uint64_t)t->image->stored_width * g.pixel_bits + 7) / 8), 1);
    if (!row) return cl_source_fail_memory(t->image);
    for (uint64_t i = first; i < count && !status; i++) {
        status = cl_tiff_number(t, g.offsets, i, &offset) ? read_tile(t, &g, i - first, offset, row)
                                                          : cl_tiff_fail(t, "its offsets are of an unknown type");
    }
    cl_free(row);
    return status;
}
