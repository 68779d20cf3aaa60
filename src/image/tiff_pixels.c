/* Samples of a TIFF to bytes, and those to red, green, blue and alpha. */
#include "image/bytes.h"
#include "image/color.h"
#include "image/tiff.h"

/* `value` of 0 to t->most, or beyond it, to a byte. */
static uint8_t narrow(const cl_tiff *t, double value) {
    if (t->image->options->depth == COULIS_DEPTH_SCALE && t->most && t->format == 1)
        value = value * 255 / t->most + 0.5;
    return value >= 255 ? 255 : value > 0 ? (uint8_t)value : 0; /* NaN becomes 0 */
}

static uint16_t load16(const cl_tiff *t, const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return t->swapped ? __builtin_bswap16(value) : value;
}

static uint32_t load32(const cl_tiff *t, const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return t->swapped ? __builtin_bswap32(value) : value;
}

static uint8_t wide_sample(const cl_tiff *t, const uint8_t *from, size_t i) {
    if (t->bits == 12) {
        const uint8_t *pair = from + i / 2 * 3;
        return narrow(t, i % 2 ? (pair[1] & 15) << 8 | pair[2] : pair[0] << 4 | pair[1] >> 4);
    }
    if (t->bits == 16) {
        uint16_t value = load16(t, from + 2 * i);
        return narrow(t, t->format == 2 ? (double)(int16_t)value : (double)value);
    }
    uint32_t value = load32(t, from + 4 * i);
    float number;
    memcpy(&number, &value, sizeof number);
    /* Pillow keeps 32 bits with a sign. */
    return narrow(t, t->format == 3 ? (double)number : (double)(int32_t)value);
}

/* A sample of at most 8 bits; grey is spread over 0 to 255. */
static uint8_t small_sample(const cl_tiff *t, const uint8_t *from, size_t i) {
    if (t->bits == 8) return t->inverted ? (uint8_t)~from[i] : from[i];
    uint32_t mask = (1u << t->bits) - 1;
    size_t bit = i * t->bits;
    uint32_t sample = (uint32_t)from[bit / 8] >> (8 - t->bits - bit % 8) & mask;
    if (t->kind == CL_TIFF_PALETTE) return (uint8_t)sample;
    return (uint8_t)((t->inverted ? mask - sample : sample) * (255 / mask));
}

/* The high byte of a sample of 16 bits, or a sample of 8. */
static uint8_t high_byte(const cl_tiff *t, const uint8_t *from, size_t i) {
    return t->bits == 8 ? from[i] : (uint8_t)(load16(t, from + 2 * i) >> 8);
}

/* Where on the canvas a sample goes: 4 when it is not used. */
static size_t place(const cl_tiff *t, size_t sample) {
    bool one = t->kind == CL_TIFF_GREY || t->kind == CL_TIFF_WIDE_GREY || t->kind == CL_TIFF_PALETTE;
    size_t colors = one ? 1 : t->kind == CL_TIFF_CMYK ? 4 : 3;
    if (sample < colors) return sample;
    return sample == colors && t->alpha != CL_TIFF_OPAQUE ? 3 : 4;
}

void cl_tiff_unpack(const cl_tiff *t, const uint8_t *from, uint8_t *pixels, size_t count) {
    if (t->kind == CL_TIFF_WIDE_GREY) {
        for (size_t i = 0; i < count; i++) pixels[4 * i] = wide_sample(t, from, i);
    } else if (t->samples == 1) {
        for (size_t i = 0; i < count; i++) pixels[4 * i] = small_sample(t, from, i);
    } else {
        for (size_t k = 0; k < t->samples; k++) {
            size_t to = place(t, k);
            for (size_t i = 0; i < count && to < 4; i++) pixels[4 * i + to] = high_byte(t, from, i * t->samples + k);
        }
    }
}

void cl_tiff_unpack_plane(const cl_tiff *t, uint32_t plane, const uint8_t *from, uint8_t *pixels, size_t count) {
    size_t to = place(t, plane);
    for (size_t i = 0; i < count && to < 4; i++) pixels[4 * i + to] = high_byte(t, from, i);
}

static uint8_t divided(uint8_t value, uint8_t alpha) {
    uint32_t whole = alpha ? value * 255u / alpha : 0;
    return whole > 255 ? 255 : (uint8_t)whole;
}

static void convert_grey(const cl_tiff *t, uint8_t *p) {
    if (t->alpha == CL_TIFF_ASSOCIATED) p[0] = divided(p[0], p[3]);
    p[1] = p[2] = p[0];
}

static void convert_cmyk(uint8_t *p) {
    uint8_t white = (uint8_t)(255 - p[3]);
    for (int i = 0; i < 3; i++) p[i] = (uint8_t)(white - cl_multiply_255(p[i], white));
}

/* Through a profile: CIELAB always, CMYK when it has one and that is asked for. *done says whether it was. */
static coulis_status convert_by_profile(const cl_tiff *t, uint8_t *pixels, size_t count, bool *done) {
    const cl_tiff_field *icc = &t->fields[CL_TIFF_ICC];
    bool lab = t->kind == CL_TIFF_LAB;
    bool asked = t->kind == CL_TIFF_CMYK && t->image->options->cmyk == COULIS_CMYK_PROFILE && icc->data;
    *done = false;
    if (!lab && !asked) return COULIS_OK;
    for (size_t i = 0; i < count && lab; i++) { /* a and b have a sign */
        pixels[4 * i + 1] ^= 128;
        pixels[4 * i + 2] ^= 128;
    }
    cl_color *color;
    coulis_status status = cl_color_create(t->image, icc->data, (size_t)icc->count, lab ? CL_COLOR_LAB : CL_COLOR_CMYK,
                                           &color);
    if (status || !color) return status;
    cl_color_apply(color, pixels, count);
    cl_color_free(color);
    *done = true;
    return COULIS_OK;
}

coulis_status cl_tiff_convert(cl_tiff *t) {
    size_t count = (size_t)t->image->stored_width * (size_t)t->image->stored_height;
    uint8_t *p = t->canvas->pixels;
    bool done;
    coulis_status status = convert_by_profile(t, p, count, &done);
    if (status || done) return status;
    for (size_t i = 0; i < count; i++, p += 4) {
        switch (t->kind) {
        case CL_TIFF_GREY:
        case CL_TIFF_WIDE_GREY: convert_grey(t, p); break;
        case CL_TIFF_PALETTE: memcpy(p, t->palette[p[0]], 3); break;
        case CL_TIFF_CMYK: convert_cmyk(p); break;
        case CL_TIFF_YCBCR: cl_ycc_to_rgb(p); break;
        default:
            for (int k = 0; k < 3 && t->alpha == CL_TIFF_ASSOCIATED; k++) p[k] = divided(p[k], p[3]);
        }
        if (t->alpha == CL_TIFF_OPAQUE) p[3] = 255;
    }
    return COULIS_OK;
}
