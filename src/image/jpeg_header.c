#include "image/jpeg_header.h"

#include "image/bytes.h"
#include "image/exif.h"

enum {
    SOF0 = 0xC0,
    DHT = 0xC4,
    JPG = 0xC8,
    DAC = 0xCC,
    SOI = 0xD8,
    EOI = 0xD9,
    SOS = 0xDA,
    DQT = 0xDB,
    DNL = 0xDC,
    DRI = 0xDD,
    DHP = 0xDE,
    EXP = 0xDF,
    APP0 = 0xE0,
    APP1 = 0xE1,
    APP2 = 0xE2,
    APP13 = 0xED,
    APP14 = 0xEE,
    APP15 = 0xEF,
    COM = 0xFE
};

typedef struct segment {
    const uint8_t *data;
    size_t size;
} segment;

typedef struct walk {
    cl_source *image;
    cl_jpeg_header *header;
    size_t marker; /* offset of the current marker */
    size_t at;     /* what is read next */
    bool frame;    /* a frame header was seen */
    segment xmp;
    uint8_t *exif; /* all EXIF segments one after the other; only when orientation is wanted */
    size_t exif_size;
} walk;

static coulis_status fail(const walk *w, const char *what) {
    return cl_source_fail(w->image, COULIS_UNREADABLE, "is a damaged JPEG: %s at byte %zu", what, w->marker);
}

static bool begins_with(segment s, const char *text, size_t length) {
    return s.size >= length && memcmp(s.data, text, length) == 0;
}

static coulis_status add_exif(walk *w, segment s) {
    if (w->image->options->orient != COULIS_ORIENT_EXIF) return COULIS_OK;
    /* A profile in several segments repeats "Exif\0\0" in each. */
    size_t skip = w->exif ? 6 : 0;
    uint8_t *grown = cl_grow(w->exif, w->exif_size + s.size - skip, 1);
    if (!grown) return cl_source_fail_memory(w->image);
    memcpy(grown + w->exif_size, s.data + skip, s.size - skip);
    w->exif = grown;
    w->exif_size += s.size - skip;
    return COULIS_OK;
}

/* A profile in several segments numbers them from 1; they are written in that order. */
static coulis_status add_profile(walk *w, segment s) {
    cl_jpeg_header *h = w->header;
    if (w->image->options->cmyk != COULIS_CMYK_PROFILE || s.data[12] != h->profile_parts + 1) return COULIS_OK;
    uint8_t *grown = cl_grow(h->profile, h->profile_size + s.size - 14, 1);
    if (!grown) return cl_source_fail_memory(w->image);
    memcpy(grown + h->profile_size, s.data + 14, s.size - 14);
    h->profile = grown;
    h->profile_size += s.size - 14;
    h->profile_parts++;
    return COULIS_OK;
}

static coulis_status application_segment(walk *w, uint8_t marker, segment s) {
    if (marker == APP1 && begins_with(s, "Exif\0\0", 6)) return add_exif(w, s);
    if (marker == APP1 && begins_with(s, "http://ns.adobe.com/xap/1.0/\0", 29))
        w->xmp = (segment){s.data + 29, s.size - 29};
    else if (marker == APP2 && begins_with(s, "ICC_PROFILE\0", 12) && s.size > 14) return add_profile(w, s);
    return COULIS_OK;
}

static coulis_status frame_header(walk *w, segment s) {
    if (s.size < 6) return fail(w, "a frame header cut short");
    w->header->height = cl_big16(s.data + 1);
    w->header->width = cl_big16(s.data + 3);
    w->image->stored_width = (int32_t)w->header->width;
    w->image->stored_height = (int32_t)w->header->height;
    if (s.data[0] != 8) return fail(w, "samples that are not of 8 bits");
    w->header->layers = s.data[5];
    if (w->header->layers != 1 && w->header->layers != 3 && w->header->layers != 4)
        return fail(w, "neither 1, 3 nor 4 colour components");
    w->frame = true;
    return COULIS_OK;
}

static bool has_segment(uint8_t marker) {
    return marker != JPG && !(marker >= 0xD0 && marker <= EOI) && !(marker >= 0xF0 && marker != COM);
}

/* The segment of `marker`, which begins at w->at. */
static coulis_status read_segment(walk *w, uint8_t marker) {
    const cl_source *p = w->image;
    if (p->size - w->at < 2) return fail(w, "the file ends within a marker");
    uint32_t length = cl_big16(p->bytes + w->at);
    segment s = {p->bytes + w->at + 2, length > 2 ? length - 2 : 0};
    w->at += 2;
    if (s.size > p->size - w->at) return fail(w, "the file ends within a segment");
    w->at += s.size;
    if (marker >= APP0 && marker <= APP15) return application_segment(w, marker, s);
    bool frame = (marker >= SOF0 && marker < SOI && marker != DHT && marker != DAC) || marker == DHP;
    return frame ? frame_header(w, s) : COULIS_OK;
}

static coulis_status walk_markers(walk *w) {
    const uint8_t *bytes = w->image->bytes;
    size_t size = w->image->size;
    w->at = 3; /* after SOI and the 0xFF that every JPEG recognised as one has next */
    bool after_ff = true;
    for (;;) {
        if (!after_ff) {
            /* Anything between segments that is not 0xFF is skipped. */
            const uint8_t *next = w->at < size ? memchr(bytes + w->at, 0xFF, size - w->at) : NULL;
            if (!next)
                return cl_source_fail(w->image, COULIS_UNREADABLE,
                                      "is a damaged JPEG: it ends before any "
                                      "image data, after %zu bytes",
                                      size);
            w->at = (size_t)(next - bytes) + 1;
        }
        after_ff = false;
        if (w->at >= size) continue;
        w->marker = w->at - 1;
        uint8_t marker = bytes[w->at++];
        if (marker == 0xFF) {
            after_ff = true;
        } else if (marker >= SOF0) {
            if (!has_segment(marker)) continue;
            coulis_status status = read_segment(w, marker);
            if (status) return status;
            if (marker == SOS) return w->frame ? COULIS_OK : fail(w, "image data without a frame header");
        } else if (marker != 0) {
            return fail(w, "an unknown marker");
        }
    }
}

coulis_status cl_jpeg_read_header(cl_source *image, cl_jpeg_header *header) {
    walk w = {.image = image, .header = header};
    header->orientation = 1;
    coulis_status status = walk_markers(&w);
    bool found = !status && w.exif && cl_exif_orientation(w.exif, w.exif_size, &header->orientation);
    if (!status && !found && w.xmp.data && image->options->orient == COULIS_ORIENT_EXIF)
        cl_xmp_orientation(w.xmp.data, w.xmp.size, &header->orientation);
    cl_free(w.exif);
    return status;
}
