/* The arithmetic is that of OpenCV's resize for bytes with INTER_LINEAR: places in single precision, weights of 11
 * bits, and between the two directions 7 more bits than the result has. Halving both sides exactly is a mean of four.
 */
#include <math.h>

#include "image/resize.h"

#define BITS 11

/* The two samples a result is made of, and their weights. */
typedef struct tap {
    int64_t at, next;
    int32_t weight, next_weight;
} tap;

typedef struct plain {
    tap *x, *y; /* of each wanted column and row */
    int32_t width, height;
    uint8_t *row;     /* of the decoder, four bytes a pixel */
    int32_t *wide[2]; /* rows of the result's width: an even source row in the first, an odd one in the second */
} plain;

static void place(tap *t, double scale, double begin, int64_t o, int64_t samples) {
    float at = (float)(begin + ((double)o + 0.5) * scale - 0.5);
    int64_t first = (int64_t)floorf(at);
    float share = at - (float)first;
    t->at = first < 0 ? 0 : first > samples - 1 ? samples - 1 : first;
    t->next = first + 1 < 0 ? 0 : first + 1 > samples - 1 ? samples - 1 : first + 1;
    t->weight = (int32_t)lrintf((1.0f - share) * (1 << BITS));
    t->next_weight = (int32_t)lrintf(share * (1 << BITS));
}

static void widen(const plain *p, int32_t *out) {
    for (int32_t o = 0; o < p->width; o++) {
        const uint8_t *a = p->row + 4 * p->x[o].at, *b = p->row + 4 * p->x[o].next;
        for (int c = 0; c < 3; c++) out[3 * o + c] = a[c] * p->x[o].weight + b[c] * p->x[o].next_weight;
    }
}

static void mix(const plain *p, const tap *t, bool halve, uint8_t *out) {
    const int32_t *a = p->wide[t->at % 2], *b = p->wide[t->next % 2];
    for (int32_t i = 0; i < 3 * p->width; i++) {
        /* Both weights of a mean are half: what `widen` gives is the sum of two pixels times 2^10. */
        int32_t value = halve ? ((a[i] + b[i]) / (1 << (BITS - 1)) + 2) >> 2
                              : ((t->weight * (a[i] >> 4) >> 16) + (t->next_weight * (b[i] >> 4) >> 16) + 2) >> 2;
        out[i] = (uint8_t)(value > 255 ? 255 : value);
    }
}

static bool make(plain *p, const cl_source *image, const cl_decoder *decoder, bool *halve) {
    const cl_box *box = &decoder->box;
    double in_width = box->right - box->left, in_height = box->bottom - box->top;
    int64_t out_width, out_height;
    cl_resize_whole(image, (int64_t)(in_width * 8), (int64_t)(in_height * 8), &out_width, &out_height);
    *halve = in_width == 2.0 * (double)out_width && in_height == 2.0 * (double)out_height;
    p->width = image->width;
    p->height = image->height;
    p->x = cl_alloc((size_t)p->width, sizeof *p->x);
    p->y = cl_alloc((size_t)p->height, sizeof *p->y);
    p->row = cl_alloc((size_t)decoder->width, 4);
    for (int i = 0; i < 2; i++) p->wide[i] = cl_alloc((size_t)p->width, 3 * sizeof(int32_t));
    if (!p->x || !p->y || !p->row || !p->wide[0] || !p->wide[1]) return false;
    int64_t left = cl_resize_offset(image, out_width, p->width);
    int64_t top = cl_resize_offset(image, out_height, p->height);
    /* OpenCV divides twice. */
    double across = 1.0 / ((double)out_width / in_width), down = 1.0 / ((double)out_height / in_height);
    for (int32_t o = 0; o < p->width; o++) place(&p->x[o], across, box->left, left + o, decoder->width);
    for (int32_t o = 0; o < p->height; o++) place(&p->y[o], down, box->top, top + o, decoder->height);
    /* Beyond the edges a column's weight is all on the edge. */
    for (int32_t o = 0; o < p->width; o++)
        if (p->x[o].at == p->x[o].next) p->x[o].weight = 1 << BITS, p->x[o].next_weight = 0;
    return true;
}

coulis_status cl_plain_resize(const cl_source *image, cl_decoder *decoder, uint8_t *rgb) {
    plain p = {0};
    bool halve;
    coulis_status status = make(&p, image, decoder, &halve) ? COULIS_OK : cl_source_fail_memory(image);
    int32_t o = 0;
    for (int32_t row = 0; !status && row < decoder->height; row++) {
        status = decoder->rows(decoder, &p.row, 1);
        if (status || o == p.height) continue; /* rows below what is wanted still count as part of the file */
        if (row < p.y[o].at) continue;
        widen(&p, p.wide[row % 2]);
        for (; o < p.height && p.y[o].next <= row; o++) mix(&p, &p.y[o], halve, rgb + (size_t)o * (size_t)p.width * 3);
    }
    if (!status) status = cl_decoder_finish(decoder);
    cl_free(p.x);
    cl_free(p.y);
    cl_free(p.row);
    cl_free(p.wide[0]);
    cl_free(p.wide[1]);
    return status;
}
