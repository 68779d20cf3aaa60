/* ISO/IEC 15444-1: the boxes of annex I, and the marker SIZ of annex A. */
#include "image/jp2_header.h"

#include "image/bytes.h"

typedef struct span {
    const uint8_t *bytes;
    size_t size;
} span;

static coulis_status fail(const cl_source *image, const char *what) {
    return cl_source_fail(image, COULIS_UNREADABLE, "is a damaged JPEG 2000: %s", what);
}

/* Cuts the next box off `rest`: its content and its name. False when there is none that is whole. */
static bool next_box(span *rest, const char **name, span *content) {
    if (rest->size < 8) return false;
    uint64_t length = cl_big32(rest->bytes), header = 8;
    *name = (const char *)rest->bytes + 4;
    if (length == 1) {
        if (rest->size < 16) return false;
        length = (uint64_t)cl_big32(rest->bytes + 8) << 32 | cl_big32(rest->bytes + 12);
        header = 16;
    } else if (length == 0) {
        length = rest->size; /* to the end of the file */
    }
    if (length < header || length > rest->size) return false;
    *content = (span){rest->bytes + header, (size_t)(length - header)};
    rest->bytes += length;
    rest->size -= (size_t)length;
    return true;
}

static bool is(const char *name, const char *word) { return memcmp(name, word, 4) == 0; }

/* A palette of 3 or 4 columns of at most 8 bits; another is left to the library's grey. */
static void read_palette(span box, cl_jp2_header *h) {
    if (box.size < 3) return;
    uint32_t colors = cl_big16(box.bytes), columns = box.bytes[2];
    if (colors == 0 || colors > 256 || (columns != 3 && columns != 4)) return;
    if (box.size < 3 + (size_t)columns + (size_t)colors * columns) return;
    for (uint32_t i = 0; i < columns; i++)
        if (box.bytes[3 + i] > 7) return; /* one less than the bits */
    const uint8_t *entry = box.bytes + 3 + columns;
    for (uint32_t i = 0; i < colors; i++, entry += columns) {
        h->palette[i][3] = 255;
        memcpy(h->palette[i], entry, columns);
    }
    h->colors = colors;
}

static void read_header_box(span box, cl_jp2_header *h) {
    const char *name;
    span content;
    bool grey = false;
    while (next_box(&box, &name, &content)) {
        if (is(name, "ihdr") && content.size >= 11) {
            h->height = cl_big32(content.bytes);
            h->width = cl_big32(content.bytes + 4);
            h->components = cl_big16(content.bytes + 8);
            h->wide = h->components == 1 && (content.bytes[10] & 0x7F) > 8;
        } else if (is(name, "colr") && content.size >= 7 && content.bytes[0] == 1) {
            uint32_t space = cl_big32(content.bytes + 3);
            grey = space == 0 || space == 15 || space == 17;
            h->cmyk = space == 12;
        } else if (is(name, "pclr") && !grey && !h->wide && h->components >= 1 && h->components <= 2) {
            read_palette(content, h);
        }
    }
}

static coulis_status read_boxes(const cl_source *image, cl_jp2_header *h) {
    span rest = {image->bytes, image->size}, content;
    const char *name;
    while (next_box(&rest, &name, &content)) {
        if (!is(name, "jp2h")) continue;
        read_header_box(content, h);
        break;
    }
    return h->components ? COULIS_OK : fail(image, "it has no image header");
}

static coulis_status read_codestream(const cl_source *image, cl_jp2_header *h) {
    if (image->size < 43) return fail(image, "its header is cut short");
    const uint8_t *siz = image->bytes + 4; /* behind the markers SOC and SIZ */
    uint32_t right = cl_big32(siz + 4), bottom = cl_big32(siz + 8), left = cl_big32(siz + 12), top = cl_big32(siz + 16);
    if (right < left || bottom < top) return fail(image, "it ends before it begins");
    h->width = right - left;
    h->height = bottom - top;
    h->components = cl_big16(siz + 36);
    h->wide = h->components == 1 && (siz[38] & 0x7F) + 1 > 8;
    return COULIS_OK;
}

coulis_status cl_jp2_read_header(const cl_source *image, cl_jp2_header *header) {
    *header = (cl_jp2_header){.boxes = image->bytes[0] == 0};
    coulis_status status = header->boxes ? read_boxes(image, header) : read_codestream(image, header);
    if (status) return status;
    if (header->components > 4) return fail(image, "it has more than four components");
    return COULIS_OK;
}
