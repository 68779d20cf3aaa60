#include "image/exif.h"

#include "image/bytes.h"

#define TAG_ORIENTATION 0x0112

/* Bytes in one value of each TIFF type, 0 for a type that is ignored. 13 is IFD, 16 is LONG8. */
static const uint8_t type_size[17] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8};

typedef struct tiff {
    const uint8_t *bytes;
    size_t size;
    bool big_endian;
} tiff;

static uint32_t read16(const tiff *t, const uint8_t *at) { return t->big_endian ? cl_big16(at) : cl_little16(at); }
static uint32_t read32(const tiff *t, const uint8_t *at) { return t->big_endian ? cl_big32(at) : cl_little32(at); }

static double read_float(uint64_t bits, bool is_double) {
    double number;
    float single;
    uint32_t low = (uint32_t)bits;
    memcpy(&number, &bits, sizeof number);
    memcpy(&single, &low, sizeof single);
    return is_double ? number : (double)single;
}

/* The first value at `at` as Pillow compares it with 1..8: numbers of any type count, bytes and text do not. */
static double first_value(const tiff *t, uint32_t type, const uint8_t *at) {
    switch (type) {
    case 3: return read16(t, at);
    case 8: return (int16_t)read16(t, at);
    case 4:
    case 13: return read32(t, at);
    case 9: return (int32_t)read32(t, at);
    case 6: return (int8_t)at[0];
    case 5: return (double)read32(t, at) / (double)read32(t, at + 4);
    case 10: return (double)(int32_t)read32(t, at) / (double)(int32_t)read32(t, at + 4);
    case 11: return read_float(read32(t, at), false);
    case 12:
    case 16: {
        uint64_t a = read32(t, at), b = read32(t, at + 4);
        uint64_t bits = t->big_endian ? a << 32 | b : b << 32 | a;
        return type == 12 ? read_float(bits, true) : (double)bits;
    }
    default: return 0;
    }
}

static int32_t one_to_eight(double value) {
    for (int32_t o = 1; o <= 8; o++)
        if (value == o) return o;
    return 1;
}

bool cl_exif_orientation(const uint8_t *data, size_t size, int32_t *orientation) {
    for (int i = 0; i < 2 && size >= 6 && memcmp(data, "Exif\0\0", 6) == 0; i++) {
        data += 6;
        size -= 6;
    }
    if (size < 8) return false;
    tiff t = {data, size, data[0] == 'M'};
    /* Pillow also takes the number 42 in the other byte order; BigTIFF has no place in EXIF. */
    bool header = (data[0] == 'M' && data[1] == 'M') || (data[0] == 'I' && data[1] == 'I');
    if (!header || !((data[2] == 0x2A && data[3] == 0) || (data[2] == 0 && data[3] == 0x2A) ||
                     (data[0] == 'M' && data[2] == 0 && data[3] == 0x2B))) {
        return false;
    }
    uint64_t at = read32(&t, data + 4);
    if (at + 2 > size) return false;
    uint32_t entries = read16(&t, data + at);
    at += 2;
    uint64_t outside = 0; /* bytes of values kept outside the directory, at most as many as there are */
    for (uint32_t i = 0; i < entries && at + 12 <= size; i++, at += 12) {
        const uint8_t *entry = data + at;
        uint32_t tag = read16(&t, entry), type = read16(&t, entry + 2), count = read32(&t, entry + 4);
        if (type >= sizeof type_size || type_size[type] == 0) continue;
        uint64_t length = (uint64_t)count * type_size[type];
        const uint8_t *value = entry + 8;
        if (length > 4) {
            outside += length;
            if (outside > size) continue;
            uint64_t offset = read32(&t, entry + 8);
            if (offset + length > size) return false;
            value = data + offset;
        }
        if (length == 0 || tag != TAG_ORIENTATION) continue;
        *orientation = one_to_eight(first_value(&t, type, value));
        return true;
    }
    return false;
}

bool cl_xmp_orientation(const uint8_t *data, size_t size, int32_t *orientation) {
    static const char key[] = "tiff:Orientation";
    const size_t key_length = sizeof key - 1;
    for (size_t i = 0; i + key_length < size; i++) {
        const uint8_t *found = memchr(data + i, 't', size - i - key_length);
        if (!found) return false;
        i = (size_t)(found - data);
        if (memcmp(found, key, key_length) != 0) continue;
        size_t at = i + key_length;
        if (data[at] == '>') at += 1;
        else if (data[at] == '=' && at + 1 < size && data[at + 1] == '"') at += 2;
        else continue;
        if (at >= size || data[at] < '0' || data[at] > '9') continue;
        *orientation = one_to_eight(data[at] - '0');
        return true;
    }
    return false;
}
