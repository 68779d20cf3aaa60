/* Parquet tables of images: a column of whole files, as Hugging Face, Spark's binaryFile and img2dataset write them, or
 * Spark's image struct; and tables of paths, which are read as a manifest is. */
#include "source/parquet.h"

#include <zlib.h>

#include "base/crc32.h"
#include "source/inputs.h"
#include "source/many.h"

#define ROWS_LOOKED_AT 64 /* for the first value of a column */
#define COLUMNS_MAX 256

/* What the leaves of a table are. */
typedef struct layout {
    cl_leaf *bytes;                            /* whole files; NULL: the table has paths alone */
    cl_leaf *data, *height, *width, *channels; /* Spark's image struct: raw pixels */
    cl_leaf *path, *label;
    cl_leaf *others[COLUMNS_MAX]; /* columns that are carried along */
    int other_count;
} layout;

typedef struct parquet {
    cl_many many;
    cl_rows_of_file *rows;
    char *file, *name, *label;
    layout layout;
    const char *columns[COLUMNS_MAX];
    char *values[COLUMNS_MAX];
} parquet;

/* Whether the first value of a leaf is that of a file and not a text. */
static coulis_status look_for_bytes(const char *name, const coulis_source_options *options, int32_t index, bool *binary,
                                    coulis_error *error) {
    cl_rows_of_file *rows;
    *binary = false;
    coulis_status status = cl_parquet_rows_open(name, options, &rows, error);
    if (status) return status;
    bool there = index < rows->leaf_count; /* unless the file has changed since it was looked at */
    cl_leaf *leaf = &rows->leaves[there ? index : 0];
    leaf->wanted = there;
    for (int i = 0; i < ROWS_LOOKED_AT && there && !status; i++) {
        size_t size = 0;
        status = cl_parquet_rows_next(rows, &there, error);
        if (status || !there) break;
        const uint8_t *bytes = cl_parquet_bytes(rows, leaf, &size);
        if (!bytes || size == 0) continue;
        *binary = cl_is_binary(bytes, size);
        break;
    }
    cl_parquet_rows_close(rows);
    return status;
}

/* Finds the column of files: fields named bytes in a struct, then columns of well-known names, then any. */
static coulis_status find_bytes(const char *name, const coulis_source_options *options, const cl_rows_of_file *rows,
                                layout *l, coulis_error *error) {
    static const char *const known[] = {"content", "bytes", "image", "img",  "picture",
                                        "jpg",     "jpeg",  "png",   "webp", "data"};
    coulis_status status = COULIS_OK;
    for (int round = 0; round < 3; round++) {
        for (int32_t i = 0; i < rows->leaf_count; i++) {
            cl_leaf *leaf = &rows->leaves[i];
            bool fits = round == 2 || (round == 0 && leaf->depth == 2 && strcmp(leaf->path[1], "bytes") == 0);
            for (size_t k = 0; round == 1 && leaf->depth == 1 && k < sizeof known / sizeof *known; k++)
                fits |= strcmp(leaf->path[0], known[k]) == 0;
            if (!fits || leaf->type != CARQUET_PHYSICAL_BYTE_ARRAY) continue;
            bool binary;
            status = look_for_bytes(name, options, i, &binary, error);
            if (status) return status;
            if (!binary) continue;
            l->bytes = leaf;
            return COULIS_OK;
        }
    }
    return status;
}

static void find_image_struct(const cl_rows_of_file *rows, layout *l) {
    for (int32_t i = 0; i < rows->leaf_count; i++) {
        const char *outer = rows->leaves[i].path[0];
        if (rows->leaves[i].depth != 2 || strcmp(rows->leaves[i].path[1], "data") != 0) continue;
        l->height = cl_parquet_leaf(rows, outer, "height");
        l->width = cl_parquet_leaf(rows, outer, "width");
        l->channels = cl_parquet_leaf(rows, outer, "nChannels");
        if (!l->height || !l->width || !l->channels) continue;
        l->data = &rows->leaves[i];
        l->path = cl_parquet_leaf(rows, outer, "origin");
        return;
    }
}

static coulis_status find_layout(const char *name, const coulis_source_options *options, const cl_rows_of_file *rows,
                                 layout *l, coulis_error *error) {
    static const char *const paths[] = {"path", "file_path", "image_path", "file",    "filename", "file_name", "url",
                                        "uri",  "image_url", "key",        "__key__", "image",    "img"};
    find_image_struct(rows, l);
    coulis_status status = l->data ? COULIS_OK : find_bytes(name, options, rows, l, error);
    if (status) return status;
    if (l->bytes && l->bytes->depth == 2) l->path = cl_parquet_leaf(rows, l->bytes->path[0], "path");
    for (size_t i = 0; !l->path && i < sizeof paths / sizeof *paths; i++) {
        cl_leaf *leaf = cl_parquet_leaf(rows, paths[i], NULL);
        if (leaf && leaf != l->bytes && leaf->type == CARQUET_PHYSICAL_BYTE_ARRAY) l->path = leaf;
    }
    if (!l->bytes && !l->data && !l->path)
        return cl_fail(error, COULIS_BAD_DATA, "%s: has neither a column with the bytes of images nor a column 'path'",
                       name);
    l->label = cl_parquet_leaf(rows, "label", NULL);
    for (int32_t i = 0; i < rows->leaf_count && l->other_count < COLUMNS_MAX; i++) {
        cl_leaf *leaf = &rows->leaves[i];
        bool ours = leaf == l->bytes || leaf == l->path || leaf == l->label;
        bool carried = leaf->type == CARQUET_PHYSICAL_BYTE_ARRAY || leaf->type == CARQUET_PHYSICAL_BOOLEAN ||
                       leaf->type == CARQUET_PHYSICAL_INT32 || leaf->type == CARQUET_PHYSICAL_INT64 ||
                       leaf->type == CARQUET_PHYSICAL_FLOAT || leaf->type == CARQUET_PHYSICAL_DOUBLE;
        if (leaf->depth == 1 && carried && !ours) l->others[l->other_count++] = leaf;
    }
    cl_leaf *const wanted[] = {l->bytes, l->data, l->height, l->width, l->channels, l->path, l->label};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (wanted[i]) wanted[i]->wanted = true;
    for (int i = 0; i < l->other_count; i++) l->others[i]->wanted = true;
    return COULIS_OK;
}

/* The texts of the current row: its path, its label, and the columns that are carried along. */
static coulis_status read_texts(parquet *p, coulis_error *error) {
    const layout *l = &p->layout;
    coulis_status status = COULIS_OK;
    cl_free(p->name);
    cl_free(p->label);
    p->name = p->label = NULL;
    if (l->path) status = cl_parquet_text(p->rows, l->path, &p->name, error);
    if (!status && l->label) status = cl_parquet_text(p->rows, l->label, &p->label, error);
    for (int i = 0; i < l->other_count; i++) {
        cl_free(p->values[i]);
        p->values[i] = NULL;
        if (!status) status = cl_parquet_text(p->rows, l->others[i], &p->values[i], error);
    }
    if (!status && (!p->name || !*p->name) && (l->bytes || l->data)) {
        cl_free(p->name);
        p->name = cl_format("%s/%lld", p->file, (long long)p->rows->row);
        if (!p->name) return cl_fail_memory(error, p->file, 0);
    }
    return status;
}

static coulis_status next(cl_many *many, coulis_item *item, coulis_error *error) {
    parquet *p = (parquet *)many;
    for (;;) {
        bool there;
        coulis_status status = cl_parquet_rows_next(p->rows, &there, error);
        if (status || !there) return status;
        status = read_texts(p, error);
        if (status) return status;
        break;
    }
    size_t size = 0;
    item->name = p->name;
    item->label = p->label;
    item->values = (const char *const *)p->values;
    if (p->layout.bytes && cl_parquet_bytes(p->rows, p->layout.bytes, &size)) item->bytes = (int64_t)size;
    return COULIS_OK;
}

static void put_u32(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint8_t *put_chunk(uint8_t *to, const char *kind, size_t size) { /* whose data stand there already */
    put_u32(to, (uint32_t)size);
    memcpy(to + 4, kind, 4);
    put_u32(to + 8 + size, cl_crc32(0, to + 4, size + 4));
    return to + 12 + size;
}

/* Spark's pixels (rows of blue, green, red, and alpha where there are four) as a PNG that is not compressed, so that
 * they take the way of every other image. */
static coulis_status encode_pixels(const parquet *p, const uint8_t *pixels, int64_t height, int64_t width,
                                   int64_t channels, void **bytes, size_t *byte_count, coulis_error *error) {
    const size_t row = (size_t)(width * channels), raw_size = (size_t)height * (row + 1);
    uLong bound = compressBound((uLong)raw_size);
    uint8_t *raw = cl_alloc(raw_size, 1), *png = cl_alloc((size_t)bound + 100, 1);
    if (!raw || !png) {
        cl_free(raw);
        cl_free(png);
        return cl_fail_memory(error, p->name, raw_size);
    }
    for (int64_t y = 0; y < height; y++) {
        uint8_t *to = raw + (size_t)y * (row + 1);
        *to++ = 0; /* no filter */
        memcpy(to, pixels + (size_t)y * row, row);
        for (size_t x = 0; channels >= 3 && x < row; x += (size_t)channels) {
            uint8_t blue = to[x];
            to[x] = to[x + 2];
            to[x + 2] = blue;
        }
    }
    memcpy(png, "\x89PNG\r\n\x1a\n", 8);
    uint8_t *at = png + 8;
    put_u32(at + 8, (uint32_t)width);
    put_u32(at + 12, (uint32_t)height);
    const uint8_t rest[] = {8, (uint8_t)(channels == 1 ? 0 : channels == 3 ? 2 : 6), 0, 0, 0};
    memcpy(at + 16, rest, sizeof rest);
    at = put_chunk(at, "IHDR", 13);
    int code = compress2(at + 8, &bound, raw, (uLong)raw_size, 0);
    cl_free(raw);
    if (code != Z_OK) {
        cl_free(png);
        return cl_fail_memory(error, p->name, raw_size);
    }
    at = put_chunk(at, "IDAT", bound);
    at = put_chunk(at, "IEND", 0);
    *bytes = png;
    *byte_count = (size_t)(at - png);
    return COULIS_OK;
}

static coulis_status read_pixels(const parquet *p, int64_t max_bytes, void **bytes, size_t *byte_count,
                                 coulis_error *error) {
    const layout *l = &p->layout;
    int64_t height, width, channels;
    size_t size = 0;
    const uint8_t *pixels = cl_parquet_bytes(p->rows, l->data, &size);
    if (!pixels || size == 0) return cl_fail(error, COULIS_EMPTY, "%s is empty: it has no pixels", p->name);
    if (!cl_parquet_integer(p->rows, l->height, &height) || !cl_parquet_integer(p->rows, l->width, &width) ||
        !cl_parquet_integer(p->rows, l->channels, &channels) || height < 1 || width < 1 || height > INT32_MAX ||
        width > INT32_MAX || (channels != 1 && channels != 3 && channels != 4) ||
        (uint64_t)height * (uint64_t)width > size || (size_t)(height * width * channels) != size)
        return cl_fail(error, COULIS_UNREADABLE, "%s has pixels that do not fit its height, width and channels",
                       p->name);
    if (size > (uint64_t)max_bytes)
        return cl_fail(error, COULIS_TOO_LARGE, "%s has %zu bytes, more than the limit of %lld", p->name, size,
                       (long long)max_bytes);
    return encode_pixels(p, pixels, height, width, channels, bytes, byte_count, error);
}

static coulis_status read_row(cl_many *many, const coulis_item *item, int64_t max_bytes, void **bytes,
                              size_t *byte_count, coulis_error *error) {
    const parquet *p = (const parquet *)many;
    if (p->layout.data) return read_pixels(p, max_bytes, bytes, byte_count, error);
    size_t size = 0;
    const uint8_t *value = cl_parquet_bytes(p->rows, p->layout.bytes, &size);
    if (!value) return cl_fail(error, COULIS_MISSING, "%s has no bytes: the column is null", item->name);
    if (size == 0) return cl_fail(error, COULIS_EMPTY, "%s is empty: it has no bytes", item->name);
    if (size > (uint64_t)max_bytes)
        return cl_fail(error, COULIS_TOO_LARGE, "%s has %zu bytes, more than the limit of %lld", item->name, size,
                       (long long)max_bytes);
    uint8_t *copy = cl_alloc(size, 1);
    if (!copy) return cl_fail_memory(error, item->name, size);
    memcpy(copy, value, size);
    *bytes = copy;
    *byte_count = size;
    return COULIS_OK;
}

static void close_parquet(cl_many *many) {
    parquet *p = (parquet *)many;
    cl_parquet_rows_close(p->rows);
    for (int i = 0; i < p->layout.other_count; i++) cl_free(p->values[i]);
    cl_free(p->file);
    cl_free(p->name);
    cl_free(p->label);
    cl_free(p);
}

coulis_status cl_parquet_open(const char *name, const coulis_source_options *options, cl_many **many,
                              coulis_error *error) {
    parquet *p = cl_alloc_zero(1, sizeof *p);
    if (!p) return cl_fail_memory(error, name, sizeof *p);
    p->many = (cl_many){.columns = p->columns, .next = next, .read = read_row, .close = close_parquet};
    p->file = cl_strdup(name);
    coulis_status status = p->file ? cl_parquet_rows_open(p->file, options, &p->rows, error)
                                   : cl_fail_memory(error, name, 0);
    if (!status) status = find_layout(p->file, options, p->rows, &p->layout, error);
    if (status) {
        close_parquet(&p->many);
        return status;
    }
    p->many.column_count = p->layout.other_count;
    for (int i = 0; i < p->layout.other_count; i++) p->columns[i] = p->layout.others[i]->path[0];
    p->many.paths_only = !p->layout.bytes && !p->layout.data;
    *many = &p->many;
    return COULIS_OK;
}
