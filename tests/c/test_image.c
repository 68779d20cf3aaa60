/* The decoder's contract: arguments, limits, statuses, memory. That its pixels are Pillow's is tested from Python. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>
#include <webp/encode.h>
#include <zlib.h>

#include "base/memory.h"
#include "coulis.h"
#include "image/image.h"
#include "test.h"

#define SIDE 8
#define RESULT (SIDE * SIDE * 3)
#define UNTOUCHED 0xA5

typedef struct file {
    uint8_t bytes[1 << 16];
    size_t size;
} file;

static file jpeg, png, interlaced, webp, turned, large;
static uint8_t rgb[RESULT];
static coulis_error error;
static int32_t stored_width, stored_height;

static uint8_t sample(uint32_t x, uint32_t y, uint32_t k) { return (uint8_t)(x * 9 + y * 5 * (k + 1) + k * 70); }

static coulis_status decode_with(const file *f, const coulis_image_options *options) {
    memset(rgb, UNTOUCHED, sizeof rgb);
    coulis_image_info info;
    coulis_image_info_init(&info, sizeof info);
    coulis_status status = coulis_image_decode(f->bytes, f->size, options, SIDE, SIDE, rgb, &info, &error);
    stored_width = info.width, stored_height = info.height;
    return status;
}

static coulis_status load(const char *path) {
    memset(rgb, UNTOUCHED, sizeof rgb);
    coulis_image_info info;
    coulis_image_info_init(&info, sizeof info);
    coulis_status status = coulis_image_load(path, NULL, SIDE, SIDE, rgb, &info, &error);
    stored_width = info.width, stored_height = info.height;
    return status;
}

static coulis_status decode_bytes(const void *bytes, size_t size) {
    file f = {.size = size};
    memcpy(f.bytes, bytes, size);
    return decode_with(&f, NULL);
}

static int untouched(void) {
    for (size_t i = 0; i < sizeof rgb; i++)
        if (rgb[i] != UNTOUCHED) return 0;
    return 1;
}

static coulis_image_options with(int32_t resize, int32_t orient, int32_t alpha) {
    coulis_image_options options;
    coulis_image_options_init(&options, sizeof options);
    options.resize = resize;
    options.orient = orient;
    options.alpha = alpha;
    return options;
}

/* ---- images made here -------------------------------------------------- */

static void put32(uint8_t *at, uint32_t number) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(number >> (24 - 8 * i));
}

static void add_chunk(file *f, const char *name, const void *data, size_t size) {
    uint8_t *at = f->bytes + f->size;
    put32(at, (uint32_t)size);
    memcpy(at + 4, name, 4);
    memcpy(at + 8, data, size);
    put32(at + 8 + size, (uint32_t)crc32(crc32(0, at + 4, 4), at + 8, (uInt)size));
    f->size += size + 12;
}

/* Rows of zeros deflate to little, whatever their number. */
static void make_png(file *f, uint32_t width, uint32_t height, uint8_t interlace, uint32_t rows_present) {
    memcpy(f->bytes, "\x89PNG\r\n\x1a\n", 8);
    f->size = 8;
    uint8_t header[13] = {0, 0, 0, 0, 0, 0, 0, 0, 8, 6, 0, 0, interlace};
    put32(header, width);
    put32(header + 4, height);
    add_chunk(f, "IHDR", header, sizeof header);
    size_t size = rows_present * ((size_t)width * 4 + 8);
    uint8_t *rows = calloc(size + 1, 1), data[60000];
    for (size_t i = 0; i < size; i++) rows[i] = i % (width * 4 + 1) ? (uint8_t)(i / 7) : 0;
    if (interlace) memset(rows, 0, size);
    uLongf packed = sizeof data;
    CHECK(compress(data, &packed, rows, size) == Z_OK);
    free(rows);
    add_chunk(f, "IDAT", data, packed);
    add_chunk(f, "IEND", "", 0);
}

/* With `orientation`, an EXIF segment holds it; with `scans`, the file is progressive and has about 630. */
static void make_jpeg(file *f, uint32_t width, uint32_t height, uint8_t orientation, int scans) {
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr handler;
    static jpeg_scan_info script[1000];
    unsigned char *out = NULL;
    unsigned long size = 0;
    c.err = jpeg_std_error(&handler);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &out, &size);
    c.image_width = width;
    c.image_height = height;
    c.input_components = scans ? 1 : 3;
    c.in_color_space = scans ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&c);
    if (scans) {
        int count = 0;
        script[count++] = (jpeg_scan_info){.comps_in_scan = 1};
        for (int k = 1; k < 64; k++) { /* each coefficient alone, one bit at a time */
            script[count++] = (jpeg_scan_info){.comps_in_scan = 1, .Ss = k, .Se = k, .Al = 9};
            for (int bit = 8; bit >= 0; bit--)
                script[count++] = (jpeg_scan_info){.comps_in_scan = 1, .Ss = k, .Se = k, .Ah = bit + 1, .Al = bit};
        }
        c.scan_info = script;
        c.num_scans = count;
    }
    jpeg_start_compress(&c, TRUE);
    if (orientation) {
        const uint8_t exif[] = {'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42,          0, 0, 0, 8, 0, 1,
                                1,   18,  0,   3,   0, 0, 0,   1,   0, orientation, 0, 0, 0, 0, 0, 0};
        jpeg_write_marker(&c, JPEG_APP0 + 1, exif, sizeof exif);
    }
    uint8_t *row = malloc((size_t)width * 3);
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t i = 0; i < width * 3; i++) row[i] = sample(i / 3, y, i % 3);
        jpeg_write_scanlines(&c, &row, 1);
    }
    free(row);
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    CHECK(size <= sizeof f->bytes);
    memcpy(f->bytes, out, size);
    f->size = size;
    free(out);
}

static void make_webp(file *f) {
    uint8_t pixels[20 * 30 * 4], *out = NULL;
    for (uint32_t i = 0; i < sizeof pixels; i++) pixels[i] = sample(i / 4 % 20, i / 80, i % 4);
    f->size = WebPEncodeLosslessRGBA(pixels, 20, 30, 80, &out);
    CHECK(f->size > 0 && f->size <= sizeof f->bytes);
    memcpy(f->bytes, out, f->size);
    WebPFree(out);
}

static void make_images(void) {
    make_jpeg(&jpeg, 20, 30, 0, 0);
    make_jpeg(&turned, 20, 30, 6, 0);
    make_jpeg(&large, 90, 70, 6, 0); /* so large that fast decoding takes a fraction of it */
    make_png(&png, 20, 30, 0, 30);
    make_png(&interlaced, 20, 30, 1, 40);
    make_webp(&webp);
}

/* ---- tests ---------------------------------------------------------------- */

static void whole_images_decode(void) {
    const file *const all[] = {&jpeg, &turned, &png, &interlaced, &webp};
    for (size_t i = 0; i < 5; i++) {
        for (int32_t bits = 0; bits < 16; bits++) {
            coulis_image_options options = with(bits & 1, bits >> 1 & 1, bits >> 2 & 1);
            options.decode = bits >> 3;
            CHECK_MSG(decode_with(all[i], &options) == COULIS_OK, "%zu: %s", i, error.message);
            CHECK(error.status == COULIS_OK && error.message[0] == '\0');
            CHECK(stored_width == 20 && stored_height == 30); /* as stored, not as turned */
        }
    }
}

static void arguments_are_checked(void) {
    coulis_image_options good = with(0, 0, 0), bad;
    CHECK(good.size == sizeof good && good.max_bytes == 1 << 30 && good.max_pixels == 178956970);
    const coulis_status invalid = COULIS_INVALID_ARGUMENT;
    CHECK(coulis_image_decode(jpeg.bytes, jpeg.size, NULL, SIDE, SIDE, NULL, NULL, &error) == invalid);
    CHECK(strstr(error.message, "rgb"));
    CHECK(coulis_image_decode(NULL, 5, NULL, SIDE, SIDE, rgb, NULL, &error) == invalid);
    CHECK(coulis_image_load(NULL, NULL, SIDE, SIDE, rgb, NULL, &error) == invalid);
    static const int32_t sides[] = {0, -1, INT32_MIN, 65536, INT32_MAX};
    for (size_t i = 0; i < 5; i++) {
        CHECK(coulis_image_decode(jpeg.bytes, jpeg.size, NULL, sides[i], 8, rgb, NULL, &error) == invalid);
        CHECK(coulis_image_load("none", NULL, 8, sides[i], rgb, NULL, &error) == invalid);
    }
#define REFUSES(member, value)                                                                                         \
    bad = good;                                                                                                        \
    bad.member = value;                                                                                                \
    CHECK(decode_with(&jpeg, &bad) == invalid);                                                                        \
    CHECK(strstr(error.message, bad.size ? #member : "coulis_image_options_init") && untouched())
    REFUSES(size, 0);
    REFUSES(resize, 99);
    REFUSES(orient, -1);
    REFUSES(alpha, 99);
    REFUSES(decode, 99);
    REFUSES(max_bytes, 0);
    REFUSES(max_pixels, 0);
    coulis_image_info info = {0};
    CHECK(coulis_image_decode(jpeg.bytes, jpeg.size, NULL, SIDE, SIDE, rgb, &info, &error) == invalid);
    /* Everything that may be NULL is. */
    CHECK(coulis_image_decode(jpeg.bytes, jpeg.size, NULL, SIDE, SIDE, rgb, NULL, NULL) == COULIS_OK);
    CHECK(coulis_image_decode("", 0, NULL, SIDE, SIDE, rgb, NULL, NULL) == COULIS_EMPTY);
}

static void what_is_no_image_is_named(void) {
    static const struct {
        const char *bytes;
        size_t size;
        const char *looks_like;
    } others[] = {
        {"\0\0\0\x20"
         "ftypisom\0\0",
         14, "looks like MP4"},
        {"8BPS\0\1", 6, "looks like Photoshop PSD"},
        {"\0\0\1\0\1\0", 6, "looks like Windows icon"},
        {"%PDF-1.7\n", 9, "looks like PDF"},
        {"P6\n1 1\n255\nabc", 14, "looks like PNM"},
        {"RIFF\0\0\0\0WAVE", 12, "looks like RIFF"},
        {"<?xml version='1.0'?><svg xmlns=''/>", 36, "looks like SVG"},
        {"<!DOCTYPE HTML><p>", 18, "looks like HTML"},
        {"path,label\n", 11, "looks like text"},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        CHECK(decode_bytes(others[i].bytes, others[i].size) == COULIS_UNSUPPORTED);
        CHECK_MSG(strstr(error.message, others[i].looks_like), "%s", error.message);
        CHECK(untouched() && stored_width == 0 && stored_height == 0);
    }
    CHECK(decode_bytes("\1\2\3\4\5\6", 6) == COULIS_UNSUPPORTED && !strstr(error.message, "looks like"));
    CHECK(decode_bytes("\xff\xd8", 2) == COULIS_UNSUPPORTED);
    CHECK(decode_bytes("", 0) == COULIS_EMPTY && stored_width == 0);
}

static void limits_are_checked_first(void) {
    coulis_image_options options = with(0, 0, 0);
    options.max_pixels = 600;
    CHECK(decode_with(&jpeg, &options) == COULIS_OK && decode_with(&png, &options) == COULIS_OK &&
          decode_with(&webp, &options) == COULIS_OK);
    options.max_pixels = 599;
    const file *const all[] = {&jpeg, &png, &interlaced, &webp};
    for (size_t i = 0; i < 4; i++) {
        CHECK(decode_with(all[i], &options) == COULIS_TOO_LARGE && untouched());
        CHECK(stored_width == 20 && stored_height == 30 && strstr(error.message, "20 x 30"));
        /* The header alone is enough to tell. */
        file head = *all[i];
        head.bytes[head.size - 1] ^= 1;
        CHECK(decode_with(&head, &options) == COULIS_TOO_LARGE);
    }
    options.max_pixels = 600;
    options.max_bytes = (int64_t)jpeg.size;
    CHECK(decode_with(&jpeg, &options) == COULIS_OK);
    options.max_bytes--;
    CHECK(decode_with(&jpeg, &options) == COULIS_TOO_LARGE && stored_width == 0);

    file bomb;
    make_png(&bomb, 65535, 65535, 1, 0);
    CHECK(decode_with(&bomb, NULL) == COULIS_TOO_LARGE && stored_width == 65535 && stored_height == 65535);
    make_png(&bomb, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0);
    CHECK(decode_with(&bomb, NULL) == COULIS_TOO_LARGE && stored_width == 0);
    make_png(&bomb, 0, 5, 0, 0);
    CHECK(decode_with(&bomb, NULL) == COULIS_UNREADABLE);
}

static void too_many_scans_are_refused(void) {
    static file many;
    make_jpeg(&many, 16, 16, 0, 1);
    CHECK(decode_with(&many, NULL) == COULIS_UNREADABLE);
    CHECK_MSG(strstr(error.message, "500 scans"), "%s", error.message);
}

/* Texts that inflate to much more are read up to a limit, and do not refuse the image. */
static void texts_inflate_to_a_limit(void) {
    static uint8_t profile[3000] = "XML:com.adobe.xmp\0", million[1 << 20];
    static file many;
    const uint32_t name = 19; /* and two zero bytes behind it */
    uLongf packed = sizeof profile - name;
    CHECK(compress(profile + name, &packed, million, sizeof million) == Z_OK);
    for (int count = 10; count <= 20; count += 10) {
        many.size = 33; /* the signature and IHDR */
        memcpy(many.bytes, png.bytes, many.size);
        for (int i = 0; i < count; i++) add_chunk(&many, "zTXt", profile, packed + name);
        memcpy(many.bytes + many.size, png.bytes + 33, png.size - 33);
        many.size += png.size - 33;
        CHECK_MSG(decode_with(&many, NULL) == COULIS_OK, "%s", error.message);
    }
}

/* Whatever is cut off, the answer is an image or a sentence, and the size is told once the header is there. */
static void every_cut_is_answered(void) {
    const file *const all[] = {&jpeg, &png, &interlaced, &webp};
    for (size_t i = 0; i < 4; i++) {
        static file cut;
        for (size_t size = 1; size < all[i]->size; size++) {
            memcpy(cut.bytes, all[i]->bytes, size);
            cut.size = size;
            coulis_status status = decode_with(&cut, NULL);
            CHECK(status == COULIS_OK || status == COULIS_UNREADABLE || (status == COULIS_UNSUPPORTED && size < 12));
            CHECK((status == COULIS_OK) == !untouched());
            CHECK((status == COULIS_OK) == (error.message[0] == '\0'));
        }
        /* Within the data, which in the small PNG begin at byte 41. */
        cut.size = i == 2 ? 45 : all[i]->size / 4 * 3;
        CHECK(decode_with(&cut, NULL) == COULIS_UNREADABLE);
        CHECK_MSG(stored_width == 20 && stored_height == 30 && strstr(error.message, "byte"), "%s", error.message);
    }
}

static void files_are_judged(void) {
    char folder[] = P_tmpdir "/coulis-test-XXXXXX", path[600], long_path[600];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/apple.jpg", folder);
    CHECK(load(path) == COULIS_MISSING && strstr(error.message, path) && untouched() && stored_width == 0);
    FILE *out = fopen(path, "wb");
    fclose(out);
    CHECK(load(path) == COULIS_EMPTY && strstr(error.message, path));
    out = fopen(path, "wb");
    fwrite(jpeg.bytes, 1, jpeg.size, out);
    fclose(out);
    CHECK(load(path) == COULIS_OK && stored_width == 20 && !untouched());
    uint8_t from_file[RESULT];
    memcpy(from_file, rgb, RESULT);
    CHECK(decode_with(&jpeg, NULL) == COULIS_OK && memcmp(rgb, from_file, RESULT) == 0);
    uint8_t *bytes = NULL;
    size_t size;
    cl_file_state state;
    CHECK(!cl_image_read_file(path, (int64_t)jpeg.size, &bytes, &size, &state, &error) && size == jpeg.size);
    CHECK(state.has_bytes && state.has_modified && state.bytes == (int64_t)jpeg.size);
    cl_free(bytes);
    CHECK(cl_image_read_file(path, (int64_t)jpeg.size - 1, &bytes, &size, NULL, &error) == COULIS_TOO_LARGE);
    CHECK(truncate(path, (off_t)jpeg.size / 2) == 0);
    CHECK(load(path) == COULIS_UNREADABLE && strstr(error.message, path));
    unlink(path);
    CHECK(load(folder) == COULIS_UNREADABLE && strstr(error.message, "a folder"));
    CHECK(mkfifo(path, 0600) == 0);
    CHECK(load(path) == COULIS_UNREADABLE && strstr(error.message, "a pipe")); /* and does not wait for a writer */
    unlink(path);
    snprintf(long_path, sizeof long_path, "%s/%0300d.jpg", folder, 7);
    CHECK(load(long_path) == COULIS_UNREADABLE); /* a name longer than file systems take */
    CHECK_MSG(strncmp(error.message, "...", 3) == 0 && strstr(error.message, "cannot be read"), "%s", error.message);
    rmdir(folder);
}

static void orientation_turns(void) {
    coulis_image_options upright = with(0, COULIS_ORIENT_EXIF, 0), stored = with(0, 0, 0);
    uint8_t plain[RESULT];
    CHECK(decode_with(&jpeg, &upright) == COULIS_OK);
    memcpy(plain, rgb, RESULT);
    CHECK(decode_with(&turned, &stored) == COULIS_OK && memcmp(plain, rgb, RESULT) == 0);
    CHECK(decode_with(&turned, &upright) == COULIS_OK);
    CHECK(memcmp(plain, rgb, RESULT) != 0);
    /* Orientation 6: what was at the left is at the top. */
    int far = 0;
    for (int i = 0; i < SIDE; i++) {
        for (int k = 0; k < 3; k++) {
            int top = rgb[i * 3 + k], left = plain[(SIDE - 1 - i) * SIDE * 3 + k];
            if (abs(top - left) > 40) far++; /* resized along other axes, so only alike */
        }
    }
    CHECK(far == 0);
}

static void every_allocation_may_fail(void) {
    const file *const all[] = {&jpeg, &turned, &png, &interlaced, &webp, &large};
    coulis_image_options options = with(COULIS_RESIZE_CROP, COULIS_ORIENT_EXIF, COULIS_ALPHA_WHITE);
    options.decode = COULIS_DECODE_FAST;
    for (size_t i = 0; i < 6; i++) {
        int64_t failures = 0;
        for (int64_t n = 1;; n++) {
            cl_test_fail_allocation(n);
            coulis_status status = decode_with(all[i], &options);
            cl_test_fail_allocation(0);
            if (status == COULIS_OK) break;
            CHECK_MSG(status == COULIS_NO_MEMORY, "image %zu, allocation %lld: %s", i, (long long)n, error.message);
            CHECK(untouched());
            if (++failures > 1000) break;
        }
        CHECK_MSG(failures >= 8 && failures < 1000, "image %zu: %lld", i, (long long)failures);
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    make_images();
    RUN(whole_images_decode);
    RUN(arguments_are_checked);
    RUN(what_is_no_image_is_named);
    RUN(limits_are_checked_first);
    RUN(too_many_scans_are_refused);
    RUN(texts_inflate_to_a_limit);
    RUN(every_cut_is_answered);
    RUN(files_are_judged);
    RUN(orientation_turns);
    RUN(every_allocation_may_fail);
    return test_finish();
}
