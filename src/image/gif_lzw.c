#include "image/gif_lzw.h"

#define CODES 4096 /* of 12 bits, the longest */

typedef struct reader {
    const uint8_t *bytes;
    size_t size, *at;
    size_t block;          /* bytes left in the current block */
    uint32_t buffer, held; /* bits read, and how many */
} reader;

/* One code, or -1 at the end of the file. A block counts only when all of it is there, as in Pillow. */
static int32_t next_code(reader *r, uint32_t bits) {
    while (r->held < bits) {
        if (r->block == 0) {
            if (*r->at >= r->size || r->size - *r->at - 1 < r->bytes[*r->at]) return -1;
            r->block = r->bytes[(*r->at)++];
            continue;
        }
        r->buffer |= (uint32_t)r->bytes[(*r->at)++] << r->held;
        r->held += 8;
        r->block--;
    }
    int32_t code = (int32_t)(r->buffer & ((1u << bits) - 1));
    r->buffer >>= bits;
    r->held -= bits;
    return code;
}

typedef struct writer {
    const cl_gif_area *area;
    uint32_t x, y, step;
    int pass; /* of an interlaced frame: 0 every 8th row, 1 and 2 and 3 the rows between; 4: no more */
} writer;

/* Goes on to the next row; false after the last. */
static bool next_row(writer *w) {
    static const uint8_t first[4] = {0, 4, 2, 1}, step[4] = {8, 8, 4, 2};
    w->x = 0;
    w->y += w->step;
    while (w->y >= w->area->height) {
        if (++w->pass >= 4) return false;
        w->y = first[w->pass];
        w->step = step[w->pass];
    }
    return true;
}

static bool put(writer *w, const uint8_t *pixels, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        w->area->pixels[w->y * w->area->stride + w->x] = pixels[i];
        if (++w->x >= w->area->width && !next_row(w)) return false;
    }
    return true;
}

const char *cl_gif_inflate(const uint8_t *bytes, size_t size, size_t *at, uint8_t bits, const cl_gif_area *area) {
    static const char broken[] = "a code that stands for nothing";
    uint8_t last[CODES], text[CODES]; /* last byte of a code's text; a text, filled from its end */
    uint16_t before[CODES];           /* the code of the text without its last byte */
    reader r = {.bytes = bytes, .size = size, .at = at};
    writer w = {.area = area, .step = area->interlaced ? 8 : 1, .pass = area->interlaced ? 0 : 3};
    const uint32_t clear = 1u << bits, end = clear + 1;
    uint32_t next = clear + 2, length = bits + 1u, previous = 0;
    uint8_t first = 0; /* byte of the previous text */
    bool fresh = true; /* no code since the table was cleared */
    for (;;) {
        int32_t read = next_code(&r, length);
        if (read < 0) return "the file ends within the frame";
        uint32_t code = (uint32_t)read, at_text = CODES;
        if (code == clear) {
            next = clear + 2;
            length = bits + 1u;
            fresh = true;
            continue;
        }
        if (code == end) continue; /* before the last pixel: Pillow goes on looking for the rest */
        if (fresh) {
            if (code > clear) return broken;
            first = (uint8_t)code;
            previous = code;
            fresh = false;
            if (!put(&w, &first, 1)) return NULL;
            continue;
        }
        if (code > next) return broken;
        uint32_t c = code;
        if (code == next) {
            text[--at_text] = first;
            c = previous;
        }
        while (c >= clear) {
            if (at_text == 0 || c >= CODES) return broken;
            text[--at_text] = last[c];
            c = before[c];
        }
        first = (uint8_t)c;
        if (next < CODES) {
            last[next] = first;
            before[next] = (uint16_t)previous;
            if (next == (1u << length) - 1 && length < 12) length++;
            next++;
        }
        previous = code;
        if (!put(&w, &first, 1) || !put(&w, text + at_text, CODES - at_text)) return NULL;
    }
}
