#include "image/resize.h"

#include "image/axis.h"

/* Rows are taken in blocks of 16: the 16 pixels of a column, 48 bytes, then lie side by side, and
 * the horizontal pass is the same sum of rows as the vertical one. Rows longer than any JPEG's are
 * taken one by one, to keep memory within a few bytes per column. */
#define BLOCK_ROWS 16
#define BLOCK_WIDTH_MAX 65535
/* Rows resized horizontally and waiting for the vertical pass; a multiple of BLOCK_ROWS. */
#define CHUNK_ROWS 128
/* Weights computed at a time when there is no table. */
#define SLICE 1024
/* Bytes that may be read or written after the end of a row. */
#define SLACK 64

/* Pillow makes the horizontal pass first, but the vertical one when that is by far the greater reduction;
 * as bytes lie between the passes, the order tells in the result. Either way rows stream through:
 *
 *   horizontal first: rows -> horizontal -> chunk -> vertical -> result
 *   vertical first:   rows -> chunk -> vertical -> tall -> horizontal -> result
 */
struct cl_resizer {
    cl_axis x, y;
    cl_resize_kernel kernel;
    int32_t in_width, in_height, width, height;
    bool vertical_first;
    int32_t taken; /* input rows so far */
    int32_t block_rows, chunk_rows;
    int32_t chunk_start; /* input row that is the first in `chunk` */
    uint8_t *row[BLOCK_ROWS];
    uint8_t *block;      /* the rows above, in one piece of memory, */
    size_t block_stride; /* so far apart */
    uint8_t *columns;    /* a block by columns: in_width x block_rows x 3 */
    uint8_t *narrowed;   /* after the horizontal pass: width x block_rows x 3 */
    size_t chunk_width;  /* bytes of a row between the passes, */
    size_t row_bytes;    /* and with slack */
    uint8_t *chunk;      /* chunk_rows rows of row_bytes */
    uint8_t *tall;       /* block_rows rows after a vertical pass that is first */
    int32_t next_out;    /* the first output row that is not finished */
    int32_t slots;       /* output rows that can be unfinished at the end of a chunk */
    int32_t *partial;    /* their sums so far: row o in slot o % slots */
    size_t partial_row;  /* numbers in a slot */
    uint8_t *result;     /* height rows of width x 3; NULL when the caller's memory serves */
    int32_t scratch[SLICE];
    int32_t sums[BLOCK_ROWS * 3];
};

/* Where torchvision's CenterCrop cuts: half of what is left, rounded as Python rounds, a half to the even number. */
int64_t cl_resize_offset(const cl_source *image, int64_t size, int64_t target) {
    int64_t left = size - target;
    const coulis_image_options *o = image->options;
    bool down = o->resize == COULIS_RESIZE_PUBLISHED && o->center == COULIS_CENTER_DOWN;
    return down || left % 2 == 0 || left / 2 % 2 == 0 ? left / 2 : left / 2 + 1;
}

void cl_resize_whole(const cl_source *image, int64_t in_width, int64_t in_height, int64_t *width, int64_t *height) {
    const coulis_image_options *o = image->options;
    *width = image->width;
    *height = image->height;
    if (o->resize != COULIS_RESIZE_CROP && o->resize != COULIS_RESIZE_PUBLISHED) return;
    if (o->resize == COULIS_RESIZE_PUBLISHED && o->resize_width > 0) {
        *width = o->resize_width;
        *height = o->resize_height > 0 ? o->resize_height : o->resize_width;
        if (o->resize_height > 0) return;
    }
    /* As torchvision's Resize(shorter side). */
    if (in_width * *height <= in_height * *width) *height = in_height * *width / in_width;
    else *width = in_width * *height / in_height;
}

static bool init_axes(cl_resizer *r, const cl_source *image, const cl_box *box) {
    int64_t w = r->in_width, h = r->in_height, out_width, out_height;
    /* In eighths of a pixel, of which every box has a whole number. */
    cl_resize_whole(image, (int64_t)((box->right - box->left) * 8), (int64_t)((box->bottom - box->top) * 8), &out_width,
                    &out_height);
    r->vertical_first = h > out_height && h - out_height > (w - out_width) * 2;
    cl_axis_part across = {w, box->left, box->right}, down = {h, box->top, box->bottom};
    const coulis_image_options *o = image->options;
    int32_t filter = o->resize == COULIS_RESIZE_PUBLISHED ? o->filter : COULIS_FILTER_BICUBIC;
    int64_t left = cl_resize_offset(image, out_width, r->width);
    int64_t top = cl_resize_offset(image, out_height, r->height);
    return cl_axis_init(&r->x, across, filter, out_width, left, r->width) &&
           cl_axis_init(&r->y, down, filter, out_height, top, r->height);
}

static bool init_memory(cl_resizer *r) {
    size_t block_rows = (size_t)r->block_rows, in_width = (size_t)r->in_width, width = (size_t)r->width;
    r->block_stride = in_width * 4 + SLACK;
    r->chunk_width = (r->vertical_first ? in_width : width) * 3;
    r->row_bytes = r->chunk_width + SLACK;
    r->block = cl_alloc(block_rows, r->block_stride);
    r->columns = cl_alloc_zero(in_width * 3 * block_rows + SLACK, 1);
    r->narrowed = cl_alloc(width * 3 * block_rows + SLACK, 1);
    r->chunk = cl_alloc((size_t)r->chunk_rows, r->row_bytes);
    if (!r->block || !r->columns || !r->narrowed || !r->chunk) return false;
    /* A small image's only vertical pass can wait for the end, when nothing can fail any more, and then
     * write to the caller's memory; but only when no row is written beyond its end. */
    if (r->in_height > r->chunk_rows || r->vertical_first || r->chunk_width % CL_RESIZE_GROUP != 0) {
        r->result = cl_alloc(width * 3 * (size_t)r->height + SLACK, 1);
        if (!r->result) return false;
    }
    if (r->vertical_first) {
        r->tall = cl_alloc(block_rows, r->row_bytes);
        if (!r->tall) return false;
    }
    for (size_t i = 0; i < block_rows; i++) r->row[i] = r->block + i * r->block_stride;

    if (r->in_height > r->chunk_rows) {
        /* Every output row whose support holds the boundary between two given input rows. */
        double open = (2.0 * r->y.support + 1.0) / r->y.scale + 2.0;
        r->slots = open < r->height ? (int32_t)open : r->height;
        r->partial_row = (r->chunk_width + CL_RESIZE_GROUP - 1) / CL_RESIZE_GROUP * CL_RESIZE_GROUP;
        r->partial = cl_alloc((size_t)r->slots, r->partial_row * sizeof *r->partial);
        if (!r->partial) return false;
    }
    return true;
}

coulis_status cl_resizer_create(const cl_source *image, const cl_decoder *decoder, cl_resize_kernel kernel,
                                cl_resizer **resizer) {
    int32_t in_width = decoder->width, in_height = decoder->height;
    cl_resizer *r = cl_alloc_zero(1, sizeof *r);
    if (!r) return cl_source_fail_memory(image);
    r->kernel = kernel;
    r->in_width = in_width;
    r->in_height = in_height;
    r->width = image->width;
    r->height = image->height;
    r->block_rows = in_width > BLOCK_WIDTH_MAX ? 1 : in_height < BLOCK_ROWS ? in_height : BLOCK_ROWS;
    r->chunk_rows = in_height < CHUNK_ROWS ? in_height : CHUNK_ROWS;
    if (!init_axes(r, image, &decoder->box) || !init_memory(r)) {
        cl_resizer_free(r);
        return cl_source_fail_memory(image);
    }
    *resizer = r;
    return COULIS_OK;
}

void cl_resizer_free(cl_resizer *r) {
    if (!r) return;
    cl_axis_free(&r->x);
    cl_axis_free(&r->y);
    cl_free(r->block);
    cl_free(r->columns);
    cl_free(r->narrowed);
    cl_free(r->chunk);
    cl_free(r->tall);
    cl_free(r->partial);
    cl_free(r->result);
    cl_free(r);
}

static int32_t rows_wanted(const cl_resizer *r) {
    int32_t left = r->in_height - r->taken;
    /* A chunk ends with a block, so that a block never lies in two chunks. */
    int32_t room = r->chunk_start + r->chunk_rows - r->taken;
    int32_t count = r->block_rows < left ? r->block_rows : left;
    return count < room ? count : room;
}

uint8_t *const *cl_resizer_rows(const cl_resizer *r, int32_t *count) {
    *count = rows_wanted(r);
    return r->row;
}

/* rows[i][x] to columns[x][i], where `pixel` bytes are from one x to the next. Four bytes are copied
 * where three are meant; the next pixel then covers the fourth. */
static void gather_columns(cl_resizer *r, const uint8_t *rows, size_t row_stride, size_t pixel, int32_t count) {
    size_t stride = 3 * (size_t)r->block_rows;
    size_t begin = (size_t)r->x.first[0];
    size_t end = (size_t)(r->x.first[r->width - 1] + r->x.taps[r->width - 1]);
    for (size_t x = begin; x < end; x++) {
        uint8_t *column = r->columns + x * stride;
        const uint8_t *from = rows + pixel * x;
        for (int32_t i = 0; i < count; i++, from += row_stride) memcpy(column + 3 * i, from, 4);
    }
}

static void scatter_columns(const cl_resizer *r, int32_t count, uint8_t *out, size_t out_stride) {
    size_t stride = 3 * (size_t)r->block_rows, width = (size_t)r->width;
    for (int32_t i = 0; i < count; i++, out += out_stride) {
        const uint8_t *column = r->narrowed + 3 * i;
        for (size_t x = 0; x < width; x++) memcpy(out + 3 * x, column + x * stride, 4);
    }
}

/* `count` rows to as many of width x 3 bytes at `out`. */
static void horizontal_pass(cl_resizer *r, const uint8_t *rows, size_t row_stride, size_t pixel, int32_t count,
                            uint8_t *out, size_t out_stride) {
    gather_columns(r, rows, row_stride, pixel, count);
    size_t stride = 3 * (size_t)r->block_rows;
    cl_resize_sum sum = {.stride = stride, .n = stride, .partial = r->sums};
    for (int32_t o = 0; o < r->width; o++) {
        int64_t first = r->x.first[o], taps = r->x.taps[o];
        int64_t slice = r->x.table ? taps : SLICE;
        sum.out = r->narrowed + (size_t)o * stride;
        for (int64_t done = 0; done < taps; done += slice) {
            sum.taps = taps - done < slice ? taps - done : slice;
            sum.weights = cl_axis_weights(&r->x, o, first + done, sum.taps, r->scratch);
            sum.rows = r->columns + (size_t)(first + done) * stride;
            sum.begin = done == 0;
            sum.end = done + sum.taps == taps;
            r->kernel(&sum);
        }
    }
    scatter_columns(r, count, out, out_stride);
}

/* Output row `o` is finished: when it is in `tall`, sends the block of rows there on. */
static void finish_row(cl_resizer *r, int32_t o) {
    r->next_out = o + 1;
    int32_t in_block = o % r->block_rows;
    if (!r->vertical_first || (in_block != r->block_rows - 1 && o != r->height - 1)) return;
    size_t stride = (size_t)r->width * 3;
    uint8_t *out = r->result + (size_t)(o - in_block) * stride;
    horizontal_pass(r, r->tall, r->row_bytes, 3, in_block + 1, out, stride);
}

/* Adds the rows of the chunk to every output row they are part of, and finishes those that have all. */
static void vertical_pass(cl_resizer *r, uint8_t *result) {
    int64_t chunk_start = r->chunk_start, chunk_end = r->taken;
    cl_resize_sum sum = {.stride = r->row_bytes, .n = r->chunk_width};
    for (int32_t o = r->next_out; o < r->height && r->y.first[o] < chunk_end; o++) {
        int64_t first = r->y.first[o], end = first + r->y.taps[o];
        int64_t from = first > chunk_start ? first : chunk_start;
        int64_t to = end < chunk_end ? end : chunk_end;
        sum.taps = to - from;
        sum.weights = cl_axis_weights(&r->y, o, from, sum.taps, r->scratch);
        sum.rows = r->chunk + (size_t)(from - chunk_start) * r->row_bytes;
        sum.begin = first >= chunk_start;
        sum.end = end <= chunk_end;
        sum.partial = r->partial ? r->partial + (size_t)(o % r->slots) * r->partial_row : NULL;
        sum.out = r->vertical_first ? r->tall + (size_t)(o % r->block_rows) * r->row_bytes : result + (size_t)o * sum.n;
        r->kernel(&sum);
        if (sum.end) finish_row(r, o);
    }
    r->chunk_start = r->taken;
}

static void pack_row(const uint8_t *row, uint8_t *packed, size_t width) {
    for (size_t x = 0; x < width; x++) memcpy(packed + 3 * x, row + 4 * x, 4);
}

void cl_resizer_take(cl_resizer *r) {
    int32_t count = rows_wanted(r);
    int64_t needed_end = r->y.first[r->height - 1] + r->y.taps[r->height - 1];
    /* Rows outside the crop are only counted. */
    if (r->taken + count > r->y.first[0] && r->taken < needed_end) {
        uint8_t *to = r->chunk + (size_t)(r->taken - r->chunk_start) * r->row_bytes;
        if (!r->vertical_first) horizontal_pass(r, r->block, r->block_stride, 4, count, to, r->row_bytes);
        for (int32_t i = 0; r->vertical_first && i < count; i++)
            pack_row(r->row[i], to + (size_t)i * r->row_bytes, (size_t)r->in_width);
    }
    r->taken += count;
    bool chunk_full = r->taken == r->chunk_start + r->chunk_rows || r->taken == r->in_height;
    if (chunk_full && r->result) vertical_pass(r, r->result);
}

void cl_resizer_finish(cl_resizer *r, uint8_t *rgb) {
    if (r->result) memcpy(rgb, r->result, (size_t)r->width * (size_t)r->height * 3);
    else vertical_pass(r, rgb);
}
