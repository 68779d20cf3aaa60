#include "pipeline/earlier.h"

#include <stdlib.h>

#include "base/digest.h"
#include "base/disk.h"
#include "base/sync.h"
#include "pipeline/review_part.h"
#include "source/path_text.h"

/* A row group of a part or piece. */
typedef struct group {
    int32_t file, number;
} group;

/* A row group with its vectors in memory. */
typedef struct loaded {
    cl_part_reader *reader; /* of `file`, -1: of none */
    int32_t file, group;    /* -1: no group */
    const cl_row *rows;
    int64_t count;
} loaded;

struct cl_earlier {
    const char *recipe, *column;
    char **files; /* paths */
    int64_t file_count;
    group *groups;
    int64_t group_count, group_capacity;
    cl_earlier_row *rows;
    int64_t count, capacity;
    char *texts; /* paths of the rows */
    size_t texts_size, texts_capacity;
    int64_t *by_path, *by_hash; /* open hash tables of rows, -1 where empty; a power of two, at most half full */
    size_t table_size;
    int64_t *sizes; /* of the files of rows with a vector, in order */
    int64_t size_count;
    loaded now;   /* the group that vectors are taken from */
    loaded ahead; /* the one after it, which a thread reads while what the caller has taken is written */
    cl_thread thread;
    bool reading_ahead; /* the thread has not been joined */
};

/* ---- reading ---- */

static coulis_status add_group(cl_earlier *e, int32_t number, coulis_error *error) {
    if (e->group_count == e->group_capacity) {
        int64_t capacity = e->group_capacity * 2 + 64;
        group *groups = cl_grow(e->groups, (size_t)capacity, sizeof *groups);
        if (!groups || capacity > INT32_MAX) return cl_fail_memory(error, "row groups", (size_t)capacity);
        e->groups = groups;
        e->group_capacity = capacity;
    }
    e->groups[e->group_count++] = (group){.file = (int32_t)e->file_count - 1, .number = number};
    return COULIS_OK;
}

/* The bytes of a hash; false when `text` is none. */
static bool read_hash(const char *text, uint8_t hash[32]) {
    if (!text || strlen(text) != 64) return false;
    for (int i = 0; i < 64; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return false;
        hash[i / 2] = (uint8_t)(i % 2 ? hash[i / 2] | digit : digit << 4);
    }
    return true;
}

static coulis_status add_row(cl_earlier *e, const cl_row *row, int32_t place, coulis_error *error) {
    const size_t length = strlen(row->path) + 1;
    if (e->count == e->capacity) {
        int64_t capacity = e->capacity * 2 + 1024;
        cl_earlier_row *rows = cl_grow(e->rows, (size_t)capacity, sizeof *rows);
        if (!rows) return cl_fail_memory(error, "earlier rows", (size_t)capacity * sizeof *rows);
        e->rows = rows;
        e->capacity = capacity;
    }
    if (e->texts_size + length > e->texts_capacity) {
        size_t capacity = (e->texts_size + length) * 2;
        char *texts = cl_grow(e->texts, capacity, 1);
        if (!texts) return cl_fail_memory(error, "paths of earlier rows", capacity);
        e->texts = texts;
        e->texts_capacity = capacity;
    }
    cl_earlier_row *own = &e->rows[e->count++];
    *own = (cl_earlier_row){.path = e->texts_size,
                            .file = row->file,
                            .status = row->status,
                            .width = row->width,
                            .height = row->height,
                            .group = (int32_t)e->group_count - 1,
                            .place = place};
    own->has_sha256 = read_hash(row->sha256, own->sha256);
    memcpy(e->texts + e->texts_size, row->path, length);
    e->texts_size += length;
    return COULIS_OK;
}

/* Takes the rows of an open file, which belongs to `e` from now on. */
static coulis_status take_file(cl_earlier *e, char *path, cl_part_reader *reader, coulis_error *error) {
    char **files = cl_grow(e->files, (size_t)e->file_count + 1, sizeof *files);
    if (!files || e->file_count == INT32_MAX) {
        cl_free(path);
        return cl_fail_memory(error, "the parts", (size_t)e->file_count);
    }
    e->files = files;
    files[e->file_count++] = path;
    coulis_status status = COULIS_OK;
    for (int32_t g = 0; !status && g < cl_part_reader_row_groups(reader); g++) {
        const cl_row *rows;
        int64_t count = 0;
        status = cl_part_reader_read(reader, g, 0, &rows, &count, error);
        if (!status) status = add_group(e, g, error);
        for (int64_t i = 0; !status && i < count; i++) status = add_row(e, &rows[i], (int32_t)i, error);
    }
    return status;
}

/* Forgets what was taken after `before` was the state. */
static void go_back(cl_earlier *e, const cl_earlier *before) {
    while (e->file_count > before->file_count) cl_free(e->files[--e->file_count]);
    e->group_count = before->group_count;
    e->count = before->count;
    e->texts_size = before->texts_size;
}

/* A part with a record: its digest must be right. It is made while the rows are taken. */
static coulis_status take_part(cl_earlier *e, const cl_parts *parts, const cl_part_record *record,
                               coulis_error *error) {
    const cl_expected expected = {.recipe = e->recipe, .rows = -1};
    bool good;
    coulis_status status = cl_review_part(parts, record->kind, record->number, &expected, &good, NULL, error);
    if (status || !good) return status;
    const cl_earlier before = *e;
    char *path = cl_review_path(parts, record->kind, record->number), *hashed = path ? cl_format("%s", path) : NULL;
    if (!hashed) {
        cl_free(path);
        return cl_fail_memory(error, "a path", strlen(parts->folder));
    }
    cl_digest digest;
    cl_digest_begin(&digest, hashed);
    cl_part_reader *reader = NULL;
    coulis_error own = {0};
    status = cl_part_reader_open(path, e->column, &reader, &own);
    if (!status) status = take_file(e, path, reader, &own);
    else cl_free(path);
    cl_part_reader_close(reader);
    const coulis_status hashing = cl_digest_end(&digest, error);
    cl_free(hashed);
    if (hashing) return hashing;
    if (strcmp(digest.sha256, record->facts.sha256) == 0)
        return status ? cl_fail(error, status, "%s", own.message) : COULIS_OK;
    go_back(e, &before); /* whatever its rows were, or why they could not be read */
    return COULIS_OK;
}

/* A piece of a part in the making; one of another job, or that is damaged, is passed over. */
static coulis_status take_piece(cl_earlier *e, char *path, coulis_error *error) {
    cl_part_reader *reader = NULL;
    coulis_status status = cl_part_reader_open(path, e->column, &reader, error);
    if (status) {
        cl_free(path);
        return status == COULIS_BAD_DATA || status == COULIS_MISSING ? COULIS_OK : status;
    }
    /* What stands before the recipe is where in the part it belongs. */
    const char *has = cl_part_reader_recipe(reader), *recipe = has ? strchr(has, '{') : NULL;
    bool good = recipe && strcmp(recipe, e->recipe) == 0;
    for (int32_t g = 0; good && g < cl_part_reader_row_groups(reader); g++) { /* there is no digest of it */
        const cl_row *rows;
        int64_t count;
        good = cl_part_reader_read(reader, g, 1, &rows, &count, NULL) == COULIS_OK;
    }
    if (good) status = take_file(e, path, reader, error);
    else cl_free(path);
    cl_part_reader_close(reader);
    return status;
}

static coulis_status take_pieces(cl_earlier *e, const char *folder, coulis_error *error) {
    char *features = cl_format("%s/features", folder);
    if (!features) return cl_fail_memory(error, "a path", strlen(folder));
    cl_listing *listing;
    coulis_status status = cl_listing_find(features, &listing, error);
    for (const char *name; !status && (name = cl_next_name(listing, features, &status, error));) {
        const char *ending = strrchr(name, '.');
        if (strncmp(name, ".part-", 6) != 0 || !ending || strcmp(ending, ".parquet") != 0) continue;
        char *path = cl_format("%s/%s", features, name);
        status = path ? take_piece(e, path, error) : cl_fail_memory(error, "a path", strlen(features));
    }
    cl_listing_close(listing);
    cl_free(features);
    return status;
}

/* ---- row groups with their vectors ---- */

static coulis_status load(const cl_earlier *e, loaded *to, int32_t number, coulis_error *error) {
    const group *wanted = &e->groups[number];
    coulis_status status = COULIS_OK;
    to->group = -1;
    if (to->file != wanted->file) {
        cl_part_reader_close(to->reader);
        to->reader = NULL;
        to->file = -1;
        status = cl_part_reader_open(e->files[wanted->file], e->column, &to->reader, error);
        if (!status) to->file = wanted->file;
    }
    if (!status) status = cl_part_reader_read(to->reader, wanted->number, 1, &to->rows, &to->count, error);
    if (!status) to->group = number;
    return status;
}

/* Reads the group after that which is there. Should it fail, it is read again when it is wanted, and that says why. */
static void *read_ahead(void *earlier) {
    cl_earlier *e = earlier;
    load(e, &e->ahead, e->now.group + 1, NULL);
    return NULL;
}

static void end_reading_ahead(cl_earlier *e) {
    if (e->reading_ahead) cl_thread_join(e->thread);
    e->reading_ahead = false;
}

static void begin_reading_ahead(cl_earlier *e) {
    if (e->now.group + 1 < e->group_count) e->reading_ahead = cl_thread_start(&e->thread, read_ahead, e) == 0;
}

void cl_earlier_begin(cl_earlier *e) {
    if (e->now.group < 0 && !e->reading_ahead) begin_reading_ahead(e);
}

static coulis_status read_group(cl_earlier *e, int32_t number, coulis_error *error) {
    if (e->now.group == number) return COULIS_OK;
    const int32_t before = e->now.group;
    coulis_status status = COULIS_OK;
    end_reading_ahead(e);
    if (e->ahead.group == number) {
        const loaded other = e->now;
        e->now = e->ahead;
        e->ahead = other;
    } else {
        status = load(e, &e->now, number, error);
    }
    /* Most are wanted one after another; where that is not so, reading ahead would be in vain. */
    if (!status && number == before + 1) begin_reading_ahead(e);
    return status;
}

/* ---- finding ---- */

static uint64_t hash_of_path(const char *path) { /* FNV-1a */
    uint64_t hash = 0xCBF29CE484222325u;
    for (const char *c = path; *c; c++) hash = (hash ^ (uint8_t)*c) * 0x100000001B3u;
    return hash ^ hash >> 29;
}

static uint64_t hash_of_bytes(const uint8_t sha256[32]) {
    uint64_t hash;
    memcpy(&hash, sha256, sizeof hash);
    return hash;
}

/* The place of a path, or where it belongs; likewise of a hash. */
static size_t place_of_path(const cl_earlier *e, const char *path) {
    size_t at = (size_t)hash_of_path(path) & (e->table_size - 1);
    while (e->by_path[at] >= 0 && strcmp(e->texts + e->rows[e->by_path[at]].path, path) != 0)
        at = (at + 1) & (e->table_size - 1);
    return at;
}

static size_t place_of_hash(const cl_earlier *e, const uint8_t sha256[32]) {
    size_t at = (size_t)hash_of_bytes(sha256) & (e->table_size - 1);
    while (e->by_hash[at] >= 0 && memcmp(e->rows[e->by_hash[at]].sha256, sha256, 32) != 0)
        at = (at + 1) & (e->table_size - 1);
    return at;
}

static int by_value(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static coulis_status make_tables(cl_earlier *e, coulis_error *error) {
    e->table_size = 64;
    while (e->table_size < (size_t)e->count * 2) e->table_size *= 2;
    e->by_path = cl_alloc(e->table_size, sizeof *e->by_path);
    e->by_hash = cl_alloc(e->table_size, sizeof *e->by_hash);
    e->sizes = cl_alloc((size_t)e->count + 1, sizeof *e->sizes);
    if (!e->by_path || !e->by_hash || !e->sizes)
        return cl_fail_memory(error, "the places of earlier rows", e->table_size * sizeof *e->by_path);
    for (size_t i = 0; i < e->table_size; i++) e->by_path[i] = e->by_hash[i] = -1;
    for (int64_t i = 0; i < e->count; i++) {
        cl_earlier_row *row = &e->rows[i];
        int64_t *first = &e->by_path[place_of_path(e, e->texts + row->path)];
        if (*first < 0) *first = i;
        if (e->rows[*first].times < INT32_MAX) e->rows[*first].times++;
        if (row->status != COULIS_OK) continue;
        if (row->file.has_bytes) e->sizes[e->size_count++] = row->file.bytes;
        if (!row->has_sha256) continue;
        first = &e->by_hash[place_of_hash(e, row->sha256)];
        if (*first < 0) *first = i;
    }
    qsort(e->sizes, (size_t)e->size_count, sizeof *e->sizes, by_value);
    return COULIS_OK;
}

coulis_status cl_earlier_open(const cl_parts *parts, cl_kind kind, const char *recipe, bool unfinished,
                              cl_earlier **out, coulis_error *error) {
    cl_earlier *e = cl_alloc_zero(1, sizeof *e);
    if (!e) return cl_fail_memory(error, "earlier rows", sizeof *e);
    e->recipe = recipe;
    e->column = kind == CL_KIND_FEATURES ? "features" : "pca";
    e->now = e->ahead = (loaded){.file = -1, .group = -1};
    coulis_status status = COULIS_OK;
    for (int64_t i = 0; !status && i < parts->count; i++)
        if (parts->records[i].kind == kind) status = take_part(e, parts, &parts->records[i], error);
    if (!status && unfinished) status = take_pieces(e, parts->folder, error);
    if (!status) status = make_tables(e, error);
    if (status) cl_earlier_close(e);
    else *out = e;
    return status;
}

void cl_earlier_close(cl_earlier *e) {
    if (!e) return;
    end_reading_ahead(e);
    cl_part_reader_close(e->now.reader);
    cl_part_reader_close(e->ahead.reader);
    for (int64_t i = 0; i < e->file_count; i++) cl_free(e->files[i]);
    cl_free(e->files);
    cl_free(e->groups);
    cl_free(e->rows);
    cl_free(e->texts);
    cl_free(e->by_path);
    cl_free(e->by_hash);
    cl_free(e->sizes);
    cl_free(e);
}

int64_t cl_earlier_count(const cl_earlier *e) { return e->count; }
const cl_earlier_row *cl_earlier_row_at(const cl_earlier *e, int64_t row) { return &e->rows[row]; }

const char *cl_earlier_path(const cl_earlier *e, int64_t row) { return e->texts + e->rows[row].path; }

int64_t cl_earlier_with_path(const cl_earlier *e, const char *path) { return e->by_path[place_of_path(e, path)]; }

int64_t cl_earlier_unchanged(const cl_earlier *e, const char *name, const cl_file_state *now) {
    if (!now->has_bytes || !now->has_modified) return -1;
    char *path = cl_path_text(name);
    const int64_t row = path ? cl_earlier_with_path(e, path) : -1; /* without memory it is read, which says so */
    cl_free(path);
    if (row < 0 || e->rows[row].status != COULIS_OK || !e->rows[row].has_sha256) return -1;
    return cl_file_state_equal(now, &e->rows[row].file) ? row : -1;
}

int64_t cl_earlier_with_bytes(const cl_earlier *e, const char *sha256) {
    uint8_t hash[32];
    return read_hash(sha256, hash) ? e->by_hash[place_of_hash(e, hash)] : -1;
}

bool cl_earlier_has_size(const cl_earlier *e, int64_t bytes) {
    return bsearch(&bytes, e->sizes, (size_t)e->size_count, sizeof bytes, by_value) != NULL;
}

void cl_earlier_sha256(const cl_earlier *e, int64_t row, char sha256[CL_SHA256_TEXT]) {
    for (int i = 0; i < 64; i++) sha256[i] = "0123456789abcdef"[e->rows[row].sha256[i / 2] >> (i % 2 ? 0 : 4) & 15];
    sha256[64] = '\0';
}

/* ---- vectors ---- */

/* A row and where its vector goes. */
typedef struct errand {
    int64_t row;
    float *to;
} errand;

static int by_row(const void *a, const void *b) {
    const int64_t x = ((const errand *)a)->row, y = ((const errand *)b)->row;
    return (x > y) - (x < y);
}

coulis_status cl_earlier_vectors(cl_earlier *e, const int64_t *rows, float *const *to, int64_t count, int64_t length,
                                 coulis_error *error) {
    errand *errands = cl_alloc((size_t)count + 1, sizeof *errands);
    if (!errands) return cl_fail_memory(error, "rows that are carried over", (size_t)count * sizeof *errands);
    for (int64_t i = 0; i < count; i++) errands[i] = (errand){.row = rows[i], .to = to[i]};
    qsort(errands, (size_t)count, sizeof *errands, by_row); /* rows are numbered in the order of files and groups */
    coulis_status status = COULIS_OK;
    for (int64_t i = 0; !status && i < count; i++) {
        const cl_earlier_row *row = &e->rows[errands[i].row];
        status = read_group(e, row->group, error);
        if (status) break;
        const float *vector = row->place < e->now.count ? e->now.rows[row->place].vector : NULL;
        if (!vector || cl_part_reader_length(e->now.reader) != length)
            status = cl_fail(error, COULIS_BAD_DATA, "%s: changed while it was read",
                             e->files[e->groups[row->group].file]);
        else memcpy(errands[i].to, vector, (size_t)length * sizeof *vector);
    }
    cl_free(errands);
    return status;
}
