/* How the pixels of a TIFF are stored, and whether that is a way that is read: the same as Pillow reads. */
#include "image/tiff.h"

#define SAMPLES_MAX 6 /* as Pillow: three extra samples at most */

typedef struct key {
    uint64_t photometric, format, fill, extra[SAMPLES_MAX];
    uint64_t bits; /* of each sample */
    uint32_t samples, extras;
} key;

static bool is_bits(const key *k, uint64_t bits, uint32_t samples) { return k->bits == bits && k->samples == samples; }

/* All of 0 from index 1 on, or none. */
static bool rest_unspecified(const key *k) {
    for (uint32_t i = 1; i < k->extras; i++)
        if (k->extra[i]) return false;
    return true;
}

static bool grey(cl_tiff *t, const key *k) {
    t->kind = CL_TIFF_GREY;
    t->inverted = k->photometric == 0;
    if (k->samples == 2 && k->photometric == 1 && k->bits == 8 && k->format == 1 && k->fill == 1 && k->extras == 1) {
        t->alpha = k->extra[0] == 1 ? CL_TIFF_ASSOCIATED : k->extra[0] == 2 ? CL_TIFF_UNASSOCIATED : CL_TIFF_OPAQUE;
        return k->extra[0] <= 2;
    }
    if (k->samples != 1 || k->extras) return false;
    if (k->bits <= 8) {
        bool small = k->bits == 1 || k->bits == 2 || k->bits == 4 || k->bits == 8;
        return small && (k->format == 1 || (k->format == 2 && k->bits == 8 && k->photometric == 1 && k->fill == 1));
    }
    t->kind = CL_TIFF_WIDE_GREY;
    t->inverted = false; /* Pillow leaves them as they are */
    if (k->bits == 32 && k->format == 3) return k->fill == 1;
    if (k->photometric == 0) return k->bits == 16 && k->format == 1 && k->fill == 1 && !t->big_endian;
    if (k->bits == 12) return k->format == 1 && k->fill == 1 && !t->big_endian;
    if (k->bits == 16) return (k->format == 1 && (k->fill == 1 || !t->big_endian)) || (k->format == 2 && k->fill == 1);
    return k->bits == 32 && k->fill == 1 && (k->format == 2 || (k->format == 1 && !t->big_endian));
}

static bool rgb(cl_tiff *t, const key *k) {
    t->kind = CL_TIFF_RGB;
    if (k->format != 1 || (k->bits != 8 && k->bits != 16) || !rest_unspecified(k)) return false;
    if (k->samples == 3) return k->extras == 0 && (k->fill == 1 || k->bits == 8);
    if (k->fill != 1 || (k->bits == 16 && k->samples != 4)) return false;
    if (k->samples == 4 && k->extras == 0) { /* the extra sample is not described */
        t->alpha = CL_TIFF_UNASSOCIATED;
        return true;
    }
    if (k->samples != 3 + k->extras) return false;
    uint64_t first = k->extra[0];
    bool corel = first == 999 && is_bits(k, 8, 4); /* what Corel Draw 10 writes */
    t->alpha = first == 1 ? CL_TIFF_ASSOCIATED : first == 2 || corel ? CL_TIFF_UNASSOCIATED : CL_TIFF_OPAQUE;
    return first <= 2 || corel;
}

static bool palette(cl_tiff *t, const key *k) {
    t->kind = CL_TIFF_PALETTE;
    if (k->format != 1) return false;
    if (is_bits(k, 8, 2)) {
        t->alpha = k->extra[0] == 2 ? CL_TIFF_UNASSOCIATED : CL_TIFF_OPAQUE;
        return k->fill == 1 && k->extras == 1 && (k->extra[0] == 0 || k->extra[0] == 2);
    }
    return k->samples == 1 && k->extras == 0 && (k->bits == 1 || k->bits == 2 || k->bits == 4 || k->bits == 8);
}

static bool cmyk(cl_tiff *t, const key *k) {
    t->kind = CL_TIFF_CMYK;
    if (k->format != 1 || k->fill != 1 || k->samples != 4 + k->extras) return false;
    if (k->bits == 16) return k->extras == 0;
    return k->bits == 8 && k->extras <= 2 && (k->extras == 0 || (k->extra[0] == 0 && rest_unspecified(k)));
}

static bool known(cl_tiff *t, const key *k) {
    if (k->fill != 1 && k->fill != 2) return false;
    switch (k->photometric) {
    case 0:
    case 1: return grey(t, k);
    case 2: return rgb(t, k);
    case 3: return palette(t, k);
    case 5: return cmyk(t, k);
    case 6:
        t->kind = k->samples == 1 ? CL_TIFF_GREY : CL_TIFF_YCBCR;
        return k->format == 1 && k->fill == 1 && k->extras == 0 && (is_bits(k, 8, 1) || is_bits(k, 8, 3));
    case 8: t->kind = CL_TIFF_LAB; return k->format == 1 && k->fill == 1 && k->extras == 0 && is_bits(k, 8, 3);
    default: return false;
    }
}

/* The one value of all samples; false when they differ or are not numbers. */
static bool same_for_all(const cl_tiff *t, cl_tiff_tag tag, uint64_t samples, uint64_t otherwise, uint64_t *value) {
    if (!t->fields[tag].data) {
        *value = otherwise;
        return true;
    }
    uint64_t count = t->fields[tag].count, next;
    if (count > samples) count = samples;
    if (!cl_tiff_number(t, tag, 0, value)) return false;
    for (uint64_t i = 1; i < count; i++)
        if (!cl_tiff_number(t, tag, i, &next) || next != *value) return false;
    return true;
}

static bool read_key(const cl_tiff *t, bool old_jpeg, key *k) {
    k->photometric = old_jpeg ? 6 : cl_tiff_number_or(t, CL_TIFF_PHOTOMETRIC, 0);
    k->fill = cl_tiff_number_or(t, CL_TIFF_FILL_ORDER, 1);
    uint64_t samples = cl_tiff_number_or(t, CL_TIFF_SAMPLES, old_jpeg ? 3 : 1);
    uint64_t extras = t->fields[CL_TIFF_EXTRA].data ? t->fields[CL_TIFF_EXTRA].count : 0;
    if (samples == 0 || samples > SAMPLES_MAX || extras > SAMPLES_MAX) return false;
    bool unspecified = extras > 0;
    for (uint64_t i = 0; i < extras; i++) {
        if (!cl_tiff_number(t, CL_TIFF_EXTRA, i, &k->extra[i])) return false;
        unspecified = unspecified && k->extra[i] == 0;
    }
    uint64_t bits_count = t->fields[CL_TIFF_BITS].data ? t->fields[CL_TIFF_BITS].count : 1;
    if (t->planes && unspecified && extras < samples) { /* planes at the end that need not be read */
        samples -= extras;
        bits_count = bits_count > extras ? bits_count - extras : bits_count;
        extras = 0;
    }
    k->samples = (uint32_t)samples;
    k->extras = (uint32_t)extras;
    if (bits_count != 1 && bits_count < samples) return false;
    return same_for_all(t, CL_TIFF_BITS, samples, 1, &k->bits) &&
           same_for_all(t, CL_TIFF_SAMPLE_FORMAT, UINT64_MAX, 1, &k->format);
}

static coulis_status read_palette(cl_tiff *t) {
    uint64_t count = t->fields[CL_TIFF_COLOR_MAP].data ? t->fields[CL_TIFF_COLOR_MAP].count / 3 : 0, value;
    if (count == 0 || count > 256) return cl_tiff_fail(t, "it has no palette of 1 to 256 colours");
    for (uint64_t i = 0; i < count; i++) {
        for (uint64_t k = 0; k < 3; k++) {
            if (!cl_tiff_number(t, CL_TIFF_COLOR_MAP, k * count + i, &value))
                return cl_tiff_fail(t, "its palette is of an unknown type");
            t->palette[i][k] = (uint8_t)(value >> 8);
        }
    }
    return COULIS_OK;
}

coulis_status cl_tiff_find_layout(cl_tiff *t) {
    uint64_t compression = cl_tiff_number_or(t, CL_TIFF_COMPRESSION, 1);
    uint64_t planar = cl_tiff_number_or(t, CL_TIFF_PLANAR, 1);
    key k = {0};
    t->planes = planar == 2;
    if (!read_key(t, compression == 6, &k) || !known(t, &k)) {
        return cl_source_fail(t->image, COULIS_UNREADABLE,
                              "is a TIFF with pixels of a kind that is not read "
                              "(photometric interpretation %llu, %u samples of %llu bits)",
                              (unsigned long long)k.photometric, k.samples, (unsigned long long)k.bits);
    }
    t->bits = (uint32_t)k.bits;
    t->samples = k.samples;
    t->format = (uint32_t)k.format;
    t->reversed = k.fill == 2;
    t->planes = t->planes && k.samples > 1;
    t->swapped = t->big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    uint64_t most = cl_tiff_number_or(t, CL_TIFF_MAX_SAMPLE, 0);
    t->most = k.bits >= 32 ? 0 : (1u << k.bits) - 1;
    if (most > 255 && most < t->most) t->most = (uint32_t)most; /* 12 bits kept in 16 */
    return t->kind == CL_TIFF_PALETTE ? read_palette(t) : COULIS_OK;
}
