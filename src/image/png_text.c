#include "image/png_text.h"

#include <string.h>
#include <zlib.h>

#include "image/exif.h"
#include "image/zlib_memory.h"

/* Pillow's MAX_TEXT_CHUNK and MAX_TEXT_MEMORY. */
#define TEXT_CHUNK_MAX (1 << 20)
#define TEXT_MEMORY_MAX (64LL << 20)
/* Ours, for time: Pillow inflates any number of profiles. */
#define INFLATED_MAX (256LL << 20)

typedef struct text {
    const uint8_t *data;
    size_t size;
} text;

static bool equals(text t, const char *word) { return t.size == strlen(word) && memcmp(t.data, word, t.size) == 0; }

/* Cuts off `t` what stands before the first NUL; false when there is none. */
static bool split(text *t, text *before) {
    const uint8_t *nul = t->size ? memchr(t->data, 0, t->size) : NULL;
    if (!nul) return false;
    *before = (text){t->data, (size_t)(nul - t->data)};
    *t = (text){nul + 1, t->size - before->size - 1};
    return true;
}

typedef struct inflated {
    uint8_t *data; /* TEXT_CHUNK_MAX bytes */
    size_t size;
    bool broken;   /* not zlib data: Pillow then goes on without it */
} inflated;

static coulis_status inflate_text(cl_png_stream *stream, const cl_png_chunk *chunk, text compressed,
                                  inflated *out) {
    z_stream z = {.zalloc = cl_zlib_alloc, .zfree = cl_zlib_free, .next_in = (Bytef *)(uintptr_t)compressed.data,
                  .avail_in = (uInt)compressed.size};
    *out = (inflated){.data = cl_alloc(TEXT_CHUNK_MAX, 1)};
    if (!out->data || inflateInit(&z) != Z_OK) {
        cl_free(out->data);
        out->data = NULL;
        return cl_source_fail_memory(stream->picture);
    }
    z.next_out = out->data;
    z.avail_out = TEXT_CHUNK_MAX;
    int result = inflate(&z, Z_SYNC_FLUSH);
    out->size = TEXT_CHUNK_MAX - z.avail_out;
    out->broken = result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END;
    bool too_much = !out->broken && result != Z_STREAM_END && z.avail_in > 0;
    inflateEnd(&z);
    stream->inflated += (int64_t)out->size;
    too_much = too_much || stream->inflated > INFLATED_MAX;
    if (!too_much && result != Z_MEM_ERROR) return COULIS_OK;
    cl_free(out->data);
    out->data = NULL;
    return too_much ? cl_png_fail(stream, chunk, "text or profiles that inflate to too much")
                    : cl_source_fail_memory(stream->picture);
}

static coulis_status count_text(cl_png_stream *stream, const cl_png_chunk *chunk, size_t characters) {
    stream->text_memory += (int64_t)characters;
    return stream->text_memory > TEXT_MEMORY_MAX ? cl_png_fail(stream, chunk, "more than 64 MiB of text") : COULIS_OK;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* ImageMagick's "Raw profile type exif": after three lines, EXIF in hexadecimal. */
static int32_t raw_profile_orientation(text t) {
    for (int line = 0; line < 3; line++) {
        const uint8_t *end = t.size ? memchr(t.data, '\n', t.size) : NULL;
        if (!end) return 0;
        t = (text){end + 1, t.size - (size_t)(end + 1 - t.data)};
    }
    uint8_t *bytes = cl_alloc(t.size / 2 + 1, 1);
    if (!bytes) return 0;
    size_t digits = 0;
    bool valid = true;
    for (size_t i = 0; i < t.size && valid; i++) {
        int digit = hex_digit(t.data[i]);
        if (t.data[i] == '\n') continue; /* line ends may even part the two digits of a byte */
        if (digit < 0) {
            valid = (t.data[i] == ' ' || (t.data[i] >= 9 && t.data[i] <= 13)) && digits % 2 == 0;
            continue;
        }
        bytes[digits / 2] = (uint8_t)(digits % 2 ? bytes[digits / 2] << 4 | digit : digit);
        digits++;
    }
    int32_t orientation = 0;
    if (!valid || digits % 2 != 0 || !cl_exif_orientation(bytes, digits / 2, &orientation)) orientation = 0;
    cl_free(bytes);
    return orientation;
}

/* Keeps the orientation that a text of this name holds. */
static void note_orientation(cl_png_stream *stream, text key, text value) {
    if (stream->picture->options->orient != COULIS_ORIENT_EXIF) return;
    if (equals(key, "Raw profile type exif")) {
        stream->has_profile = true;
        stream->profile_orientation = raw_profile_orientation(value);
    } else if (equals(key, "XML:com.adobe.xmp")) {
        stream->xmp_orientation = 0;
        cl_xmp_orientation(value.data, value.size, &stream->xmp_orientation);
    }
}

coulis_status cl_png_iccp(cl_png_stream *stream, const cl_png_chunk *chunk) {
    text rest = {chunk->data, chunk->length}, name;
    split(&rest, &name); /* without a NUL the first byte is taken for the method */
    if (rest.size == 0) return cl_png_fail(stream, chunk, "a colour profile cut short");
    if (rest.data[0] != 0) return cl_png_fail(stream, chunk, "an unknown compression method");
    inflated profile;
    coulis_status status = inflate_text(stream, chunk, (text){rest.data + 1, rest.size - 1}, &profile);
    cl_free(profile.data);
    return status;
}

coulis_status cl_png_text(cl_png_stream *stream, const cl_png_chunk *chunk) {
    text value = {chunk->data, chunk->length}, key;
    if (!split(&value, &key)) {
        key = value;
        value.size = 0;
    }
    if (key.size == 0) return COULIS_OK;
    note_orientation(stream, key, value);
    return count_text(stream, chunk, value.size);
}

coulis_status cl_png_compressed_text(cl_png_stream *stream, const cl_png_chunk *chunk) {
    text value = {chunk->data, chunk->length}, key;
    if (!split(&value, &key)) {
        key = value;
        value.size = 0;
    }
    if (value.size && value.data[0] != 0) return cl_png_fail(stream, chunk, "an unknown compression method");
    inflated plain;
    text compressed = value.size ? (text){value.data + 1, value.size - 1} : value;
    coulis_status status = inflate_text(stream, chunk, compressed, &plain);
    if (!status && key.size) {
        text result = {plain.data, plain.broken ? 0 : plain.size};
        note_orientation(stream, key, result);
        status = count_text(stream, chunk, result.size);
    }
    cl_free(plain.data);
    return status;
}

/* Bytes that follow the first byte `c` of a character; more than any text has when `c` is none. */
static size_t utf8_continuation(uint8_t c) {
    if (c < 0x80) return 0;
    if (c >= 0xC2 && c <= 0xDF) return 1;
    if (c >= 0xE0 && c <= 0xEF) return 2;
    return c >= 0xF0 && c <= 0xF4 ? 3 : SIZE_MAX;
}

/* The number of characters, or -1 when it is not strictly UTF-8 (RFC 3629). */
static int64_t utf8_length(text t) {
    int64_t characters = 0;
    for (size_t i = 0; i < t.size; characters++) {
        uint8_t c = t.data[i];
        size_t more = utf8_continuation(c);
        if (more > t.size - i - 1) return -1;
        uint8_t low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80, high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        for (size_t k = 1; k <= more; k++) {
            uint8_t next = t.data[i + k];
            if (next < low || next > high) return -1;
            low = 0x80;
            high = 0xBF;
        }
        i += 1 + more;
    }
    return characters;
}

/* The value of an iTXt: one that is plain, or has been inflated. */
static coulis_status take_international(cl_png_stream *stream, const cl_png_chunk *chunk, text key, text language,
                                        text translated, text value) {
    /* Pillow keeps XMP even when it is not UTF-8. */
    if (equals(key, "XML:com.adobe.xmp")) note_orientation(stream, key, value);
    int64_t characters = utf8_length(value);
    if (utf8_length(language) < 0 || utf8_length(translated) < 0 || characters < 0) return COULIS_OK;
    note_orientation(stream, key, value);
    return count_text(stream, chunk, (size_t)characters);
}

coulis_status cl_png_international_text(cl_png_stream *stream, const cl_png_chunk *chunk) {
    text value = {chunk->data, chunk->length}, key, language, translated;
    if (!split(&value, &key) || value.size < 2) return COULIS_OK;
    uint8_t compressed = value.data[0], method = value.data[1];
    value = (text){value.data + 2, value.size - 2};
    if (!split(&value, &language) || !split(&value, &translated)) return COULIS_OK;
    if (compressed == 0) return take_international(stream, chunk, key, language, translated, value);
    if (method != 0) return COULIS_OK;
    inflated plain;
    coulis_status status = inflate_text(stream, chunk, value, &plain);
    if (!status && !plain.broken) {
        status = take_international(stream, chunk, key, language, translated, (text){plain.data, plain.size});
    }
    cl_free(plain.data);
    return status;
}
