#include "image/png_text.h"

#include <zlib.h>

#include "image/exif.h"
#include "image/zlib_memory.h"

/* One text inflates to at most so many bytes, and all of a file to so many: those that follow are not looked at. */
#define TEXT_MAX (1 << 20)
#define INFLATED_MAX (64LL << 20)

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
        int digit = cl_hex_digit((char)t.data[i]);
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

static void note(cl_png_stream *stream, text key, text value) {
    if (equals(key, "Raw profile type exif")) {
        stream->has_profile = true;
        stream->profile_orientation = raw_profile_orientation(value);
    } else {
        stream->xmp_orientation = 0;
        cl_xmp_orientation(value.data, value.size, &stream->xmp_orientation);
    }
}

static coulis_status note_compressed(cl_png_stream *stream, text key, text value) {
    if (stream->inflated >= INFLATED_MAX) return COULIS_OK;
    z_stream z = {.zalloc = cl_zlib_alloc,
                  .zfree = cl_zlib_free,
                  .next_in = (Bytef *)(uintptr_t)value.data,
                  .avail_in = (uInt)value.size};
    uint8_t *plain = cl_alloc(TEXT_MAX, 1);
    if (!plain || inflateInit(&z) != Z_OK) {
        cl_free(plain);
        return cl_source_fail_memory(stream->image);
    }
    z.next_out = plain;
    z.avail_out = TEXT_MAX;
    int result = inflate(&z, Z_SYNC_FLUSH);
    size_t size = TEXT_MAX - z.avail_out;
    inflateEnd(&z);
    stream->inflated += (int64_t)size;
    if (result >= 0 || result == Z_BUF_ERROR) note(stream, key, (text){plain, size});
    cl_free(plain);
    return result == Z_MEM_ERROR ? cl_source_fail_memory(stream->image) : COULIS_OK;
}

coulis_status cl_png_text(cl_png_stream *stream, const cl_png_chunk *chunk) {
    text value = {chunk->data, chunk->length}, key, language, translated;
    if (!split(&value, &key)) return COULIS_OK;
    if (!equals(key, "Raw profile type exif") && !equals(key, "XML:com.adobe.xmp")) return COULIS_OK;
    bool international = chunk->id == CL_PNG_iTXt, compressed = chunk->id == CL_PNG_zTXt;
    if (international) {
        if (value.size < 2 || value.data[1] != 0) return COULIS_OK;
        compressed = value.data[0] != 0;
        value = (text){value.data + 2, value.size - 2};
        if (!split(&value, &language) || !split(&value, &translated)) return COULIS_OK;
    } else if (compressed) {
        if (value.size == 0 || value.data[0] != 0) return COULIS_OK;
        value = (text){value.data + 1, value.size - 1};
    }
    if (compressed) return note_compressed(stream, key, value);
    note(stream, key, value);
    return COULIS_OK;
}
