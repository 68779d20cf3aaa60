#include "image/bytes.h"
#include "image/tiff.h"

static const uint16_t numbers[CL_TIFF_TAGS] = {254, 256, 257, 258, 259, 262, 266, 271, 273, 274, 277,   278,
                                               281, 284, 320, 322, 323, 324, 330, 338, 339, 700, 34675, 50706};

/* Bytes in one value of each type, 0 for a type that is ignored. 13 is IFD, 16 is LONG8. */
static const uint8_t type_size[17] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8};

static uint64_t read16(const cl_tiff *t, const uint8_t *at) { return t->big_endian ? cl_big16(at) : cl_little16(at); }

static uint64_t read32(const cl_tiff *t, const uint8_t *at) { return t->big_endian ? cl_big32(at) : cl_little32(at); }

static uint64_t read64(const cl_tiff *t, const uint8_t *at) {
    return t->big_endian ? read32(t, at) << 32 | read32(t, at + 4) : read32(t, at + 4) << 32 | read32(t, at);
}

/* A number as wide as offsets are. */
static uint64_t read_offset(const cl_tiff *t, const uint8_t *at) { return t->big ? read64(t, at) : read32(t, at); }

coulis_status cl_tiff_fail(const cl_tiff *t, const char *what) {
    return cl_source_fail(t->image, COULIS_UNREADABLE, "is a TIFF that cannot be read: %s", what);
}

static void keep(cl_tiff *t, uint64_t tag, cl_tiff_field field) {
    for (int i = 0; i < CL_TIFF_TAGS; i++)
        if (numbers[i] == tag && !t->fields[i].data) t->fields[i] = field; /* the first of its number counts */
}

coulis_status cl_tiff_read_directory(cl_tiff *t) {
    const cl_source *p = t->image;
    if (p->size < 8) return cl_tiff_fail(t, "its header is cut short");
    t->big_endian = p->bytes[0] == 'M';
    t->big = p->bytes[2] == 43 || p->bytes[3] == 43;
    const size_t entry_size = t->big ? 20 : 12, inline_size = t->big ? 8 : 4, count_size = t->big ? 8 : 2;
    if (p->size < 16) return cl_tiff_fail(t, "its header is cut short");
    uint64_t at = read_offset(t, p->bytes + (t->big ? 8 : 4));
    if (at == 0 || at > p->size || p->size - at < count_size) return cl_tiff_fail(t, "its directory is missing");
    uint64_t entries = t->big ? read64(t, p->bytes + at) : read16(t, p->bytes + at), outside = 0;
    at += count_size;
    for (; entries > 0 && p->size - at >= entry_size; entries--, at += entry_size) {
        const uint8_t *entry = p->bytes + at;
        uint64_t type = read16(t, entry + 2);
        cl_tiff_field field = {entry + (t->big ? 12 : 8), read_offset(t, entry + 4), (uint32_t)type};
        if (type >= sizeof type_size || !type_size[type] || field.count == 0) continue;
        if (field.count > p->size / type_size[type]) continue; /* more than there is */
        uint64_t length = field.count * type_size[type];
        if (length > inline_size) {
            outside += length;
            if (outside > p->size) continue;
            uint64_t offset = read_offset(t, field.data);
            if (offset > p->size || length > p->size - offset) break; /* the file ends: so does the directory */
            field.data = p->bytes + offset;
        }
        keep(t, read16(t, entry), field);
    }
    return COULIS_OK;
}

bool cl_tiff_number(const cl_tiff *t, cl_tiff_tag tag, uint64_t index, uint64_t *value) {
    const cl_tiff_field *field = &t->fields[tag];
    if (!field->data || index >= field->count) return false;
    const uint8_t *at = field->data + index * type_size[field->type];
    switch (field->type) {
    case 3: *value = read16(t, at); return true;
    case 4:
    case 13: *value = read32(t, at); return true;
    case 16: *value = read64(t, at); return true;
    default: return false;
    }
}

uint64_t cl_tiff_number_or(const cl_tiff *t, cl_tiff_tag tag, uint64_t otherwise) {
    uint64_t value;
    if (!t->fields[tag].data) return otherwise;
    return cl_tiff_number(t, tag, 0, &value) ? value : UINT64_MAX;
}
