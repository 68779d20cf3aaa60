/* JPEG, by libjpeg-turbo, driven as Pillow drives its own copy: so that the same files are refused,
 * data is handed over 65,536 bytes at a time, and the library is left waiting ("suspended")
 * where it wants more. */
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>
#include <jerror.h>

#include "image/bytes.h"
#include "image/color.h"
#include "image/decoder.h"
#include "image/jpeg_header.h"
#include "image/resize.h"

#define PIECE 65536

/* A progressive image may be stored in any number of scans, each of which goes over every block of it.
 * Encoders write about ten; 500 is what libjpeg-turbo's own fuzzers stop at. For large images fewer
 * are allowed, so that scans times pixels stays bounded, but never fewer than 64. */
#define SCANS_MAX 500
#define SCANS_MIN 64
#define SCAN_PIXELS_MAX 5000000000.0

/* An image decoded at a fraction of its size keeps at least so many times the sides it is resized to: the bicubic
 * filter then still decides what is kept of it, and not libjpeg's cut of each block of 8 x 8. 2 is what Pillow's
 * thumbnail takes. On photographs of 8 to 12 megapixels, the least cosine of a vector with the exact one (bench/
 * decode_effect.py, built with each) was 0.9972 with 1, 0.9997 with 2 and with 3, and most of the time is no longer
 * in the pixels but in Huffman's codes, which are read at every scale. */
#define FAST_MARGIN 2

/* What libjpeg may use beside an image's coefficients: tables, rows, its own objects. */
#define WORK_MEMORY (16L << 20)

typedef struct jpeg {
    cl_decoder base;
    cl_source *image;
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr error;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf on_error;
    bool created;
    bool too_many_scans;
    int scans_max;
    int32_t layers;
    int32_t fraction;  /* one pixel is decoded for so many of each side: 1, 2, 4 or 8 */
    size_t given;      /* bytes of the file handed over so far */
    size_t skip;       /* bytes of the next piece to pass over */
    size_t line_bytes; /* room in `line` */
    uint8_t *line;     /* a row as libjpeg gives it, when it cannot go straight to the caller */
    bool keep;         /* rows of an image cut short are wanted */
    bool ended;        /* the end was reached before the last row: no more rows come */
    cl_color *color;   /* through the profile of a CMYK image; NULL: by formula */
    uint8_t *tail;     /* what libjpeg had not read at the end of the file, and the marker that is missing there */
} jpeg;

static void ignore(j_decompress_ptr info) { (void)info; }
static void ignore_message(j_common_ptr info) { (void)info; }

static boolean suspend(j_decompress_ptr info) {
    (void)info;
    return FALSE;
}

static void skip_input(j_decompress_ptr info, long count) {
    jpeg *j = info->client_data;
    size_t wanted = count > 0 ? (size_t)count : 0;
    size_t here = wanted < j->source.bytes_in_buffer ? wanted : j->source.bytes_in_buffer;
    j->source.next_input_byte += here;
    j->source.bytes_in_buffer -= here;
    j->skip = wanted - here;
}

static void fail_here(j_common_ptr info) {
    jpeg *j = info->client_data;
    longjmp(j->on_error, 1);
}

static void count_scans(j_common_ptr info) {
    jpeg *j = info->client_data;
    if (j->info.input_scan_number > j->scans_max) {
        j->too_many_scans = true;
        longjmp(j->on_error, 1);
    }
}

/* Once, at the end of a file cut short, the marker that ends an image: libjpeg then fills up what is missing, as it
 * does for Pillow. False when that is not wanted, or did not help. */
static bool pretend_end(jpeg *j) {
    size_t left = j->source.bytes_in_buffer;
    if (!j->keep || j->tail) return false;
    j->tail = cl_alloc(left + 2, 1);
    if (!j->tail) return false;
    if (left) memcpy(j->tail, j->source.next_input_byte, left);
    j->tail[left] = 0xFF;
    j->tail[left + 1] = JPEG_EOI;
    j->source.next_input_byte = j->tail;
    j->source.bytes_in_buffer = left + 2;
    if (j->skip) skip_input(&j->info, (long)j->skip);
    return true;
}

/* Hands over the next piece; false at the end of the file. */
static bool more_input(jpeg *j) {
    do {
        size_t left = j->image->size - j->given;
        if (left == 0) return pretend_end(j);
        size_t piece = left < PIECE ? left : PIECE;
        j->given += piece;
        j->source.bytes_in_buffer += piece;
        if (j->skip) skip_input(&j->info, (long)j->skip);
    } while (j->skip);
    return true;
}

static size_t position(const jpeg *j) {
    if (j->tail) return j->image->size;
    return j->source.next_input_byte ? (size_t)(j->source.next_input_byte - j->image->bytes) : 0;
}

static uint32_t rows_done(const jpeg *j) {
    uint32_t rows = j->info.output_scanline * (uint32_t)j->fraction, all = (uint32_t)j->image->stored_height;
    return rows < all ? rows : all;
}

static coulis_status fail_truncated(const jpeg *j) {
    return cl_source_fail(j->image, COULIS_UNREADABLE, "is a JPEG cut short: it ends after %zu bytes, at row %u of %d",
                          j->image->size, j->created ? rows_done(j) : 0u, j->image->stored_height);
}

/* After libjpeg has jumped to on_error. */
static coulis_status fail_library(jpeg *j) {
    if (j->too_many_scans) {
        return cl_source_fail(j->image, COULIS_UNREADABLE,
                              "is a JPEG in more than %d scans, which would take too long to decode", j->scans_max);
    }
    if (j->error.msg_code == JERR_OUT_OF_MEMORY || j->error.msg_code == JERR_NO_BACKING_STORE)
        return cl_source_fail_memory(j->image);
    char reason[JMSG_LENGTH_MAX];
    j->error.format_message((j_common_ptr)&j->info, reason);
    return cl_source_fail(j->image, COULIS_UNREADABLE, "is a damaged JPEG: %s (near byte %zu)", reason, position(j));
}

static void expand_gray(uint8_t *row, const uint8_t *line, size_t width) {
    for (size_t x = 0; x < width; x++) row[4 * x] = row[4 * x + 1] = row[4 * x + 2] = line[x];
}

/* The file holds inverted CMYK, as Adobe writes it: c is 255 - line[0] and so on. */
static void convert_cmyk(const jpeg *j, uint8_t *row, const uint8_t *line, size_t width) {
    if (j->color) {
        memcpy(row, line, width * 4);
        cl_color_apply(j->color, row, width);
        return;
    }
    for (size_t x = 0; x < width; x++, line += 4, row += 4) {
        uint8_t white = line[3];
        for (int i = 0; i < 3; i++) row[i] = (uint8_t)(white - cl_multiply_255((uint8_t)(255 - line[i]), white));
    }
}

/* Where the data end with `status`, and rows that are there are wanted, the rest is what Pillow has in an image that
 * nothing was written to: black, or in CMYK no ink. */
static coulis_status end_early(jpeg *j, coulis_status status, uint8_t *const *rows, int32_t count) {
    if (!j->keep || status != COULIS_UNREADABLE || j->too_many_scans) return status;
    for (int32_t i = 0; i < count; i++) memset(rows[i], j->layers == 4 ? 255 : 0, (size_t)j->base.width * 4);
    j->ended = true;
    cl_clear(j->image->error);
    return COULIS_OK;
}

static coulis_status read_rows(cl_decoder *decoder, uint8_t *const *rows, int32_t count) {
    jpeg *j = (jpeg *)decoder;
    size_t width = (size_t)j->base.width;
    volatile int32_t done = 0;
    if (setjmp(j->on_error)) return end_early(j, fail_library(j), rows + done, count - done);
    if (j->ended) return end_early(j, COULIS_UNREADABLE, rows, count);
    for (int32_t i = 0; i < count; i++) {
        done = i;
        bool direct = j->layers == 3 && j->info.output_width == (JDIMENSION)width;
        uint8_t *line = direct ? rows[i] : j->line;
        while (jpeg_read_scanlines(&j->info, &line, 1) != 1)
            if (!more_input(j)) return end_early(j, fail_truncated(j), rows + i, count - i);
        if (direct) continue;
        if (j->layers == 1) expand_gray(rows[i], line, width);
        else if (j->layers == 3) memcpy(rows[i], line, width * 4);
        else convert_cmyk(j, rows[i], line, width);
    }
    return COULIS_OK;
}

/* What follows the last row may be missing, but what is there must not be wrong. */
static coulis_status finish(cl_decoder *decoder) {
    jpeg *j = (jpeg *)decoder;
    if (j->keep) return COULIS_OK;
    if (setjmp(j->on_error)) return fail_library(j);
    jpeg_finish_decompress(&j->info);
    return COULIS_OK;
}

static void close_jpeg(cl_decoder *decoder) {
    jpeg *j = (jpeg *)decoder;
    if (j->created) jpeg_destroy_decompress(&j->info);
    cl_free(j->line);
    cl_free(j->tail);
    cl_color_free(j->color);
    cl_free(j);
}

static void prepare(jpeg *j) {
    j->info.err = jpeg_std_error(&j->error);
    j->error.error_exit = fail_here;
    j->error.output_message = ignore_message;
    j->info.client_data = j;
    jpeg_create_decompress(&j->info);
    j->created = true;

    j->source.init_source = ignore;
    j->source.fill_input_buffer = suspend;
    j->source.skip_input_data = skip_input;
    j->source.resync_to_restart = jpeg_resync_to_restart;
    j->source.term_source = ignore;
    j->source.next_input_byte = j->image->bytes;
    j->info.src = &j->source;

    j->progress.progress_monitor = count_scans;
    j->info.progress = &j->progress;
    int32_t width = j->image->stored_width, height = j->image->stored_height;
    double pixels = (double)width * height, scans = SCAN_PIXELS_MAX / pixels;
    j->scans_max = scans > SCANS_MAX ? SCANS_MAX : scans < SCANS_MIN ? SCANS_MIN : (int)scans;

    /* Coefficients of 2 bytes, of 4 components, with sides rounded up to the largest block of samples. */
    j->info.mem->max_memory_to_use = ((long)width + 64) * ((long)height + 64) * 4 * 2 + WORK_MEMORY;
}

/* The header, and for a progressive image all of the file. */
static coulis_status start(jpeg *j) {
    if (setjmp(j->on_error)) return fail_library(j);
    prepare(j);
    more_input(j);
    for (;;) {
        int result = jpeg_read_header(&j->info, FALSE);
        if (result == JPEG_HEADER_OK) break;
        if (result == JPEG_SUSPENDED && !more_input(j)) return fail_truncated(j);
    }
    j->info.out_color_space = j->layers == 1 ? JCS_GRAYSCALE : j->layers == 3 ? JCS_EXT_RGBX : JCS_CMYK;
    j->info.scale_num = 1;
    j->info.scale_denom = (unsigned)j->fraction;
    while (!jpeg_start_decompress(&j->info))
        if (!more_input(j)) return fail_truncated(j);
    if (j->info.output_width > (JDIMENSION)j->base.width ||
        (size_t)j->info.output_components * j->info.output_width > j->line_bytes) {
        return cl_source_fail(j->image, COULIS_UNREADABLE, "is a damaged JPEG: it has two frame headers that differ");
    }
    return COULIS_OK;
}

static int32_t choose_fraction(const cl_source *image, const cl_jpeg_header *header) {
    if (image->options->decode != COULIS_DECODE_FAST) return 1;
    bool quarter = header->orientation >= 5;
    int64_t in_width = quarter ? header->height : header->width, in_height = quarter ? header->width : header->height;
    int64_t width, height;
    cl_resize_whole(image, in_width, in_height, &width, &height);
    int32_t fraction = 8;
    while (fraction > 1 && (in_width < width * fraction * FAST_MARGIN || in_height < height * fraction * FAST_MARGIN))
        fraction /= 2;
    return fraction;
}

static coulis_status open_with(cl_source *image, const cl_jpeg_header *header, cl_decoder **decoder) {
    coulis_status status = cl_source_set_size(image, header->width, header->height);
    if (status) return status;
    jpeg *j = cl_alloc_zero(1, sizeof *j);
    if (!j) return cl_source_fail_memory(image);
    int32_t fraction = choose_fraction(image, header);
    double width = image->stored_width, height = image->stored_height;
    j->base = (cl_decoder){.width = (image->stored_width + fraction - 1) / fraction,
                           .height = (image->stored_height + fraction - 1) / fraction,
                           .box = {0, 0, width / fraction, height / fraction},
                           .orientation = header->orientation,
                           .rows = read_rows,
                           .finish = finish,
                           .close = close_jpeg};
    j->image = image;
    j->layers = header->layers;
    j->fraction = fraction;
    j->line_bytes = (size_t)j->base.width * (header->layers == 1 ? 1 : 4);
    j->line = cl_alloc_zero(j->line_bytes, 1);
    j->keep = image->options->truncated == COULIS_TRUNCATED_KEEP;
    if (!j->line) status = cl_source_fail_memory(image);
    if (!status && header->layers == 4 && header->profile)
        status = cl_color_create(image, header->profile, header->profile_size, CL_COLOR_CMYK_INVERTED, &j->color);
    if (!status) {
        status = start(j);
        if (status) status = end_early(j, status, NULL, 0);
    }
    if (status) close_jpeg(&j->base);
    else *decoder = &j->base;
    return status;
}

coulis_status cl_jpeg_open(cl_source *image, cl_decoder **decoder) {
    cl_jpeg_header header = {0};
    coulis_status status = cl_jpeg_read_header(image, &header);
    if (!status) status = open_with(image, &header, decoder);
    cl_free(header.profile);
    return status;
}
