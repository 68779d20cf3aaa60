/* Tar archives, packed or not, and WebDataset's shards, in which members of one stem are one sample. */
#include "source/flow.h"
#include "source/list.h"
#include "source/many.h"
#include "source/tar_header.h"

/* Members of a sample that become columns, by what follows the first dot of their name. */
#define FIELDS 3
static const char *const field_names[FIELDS] = {"cls", "json", "txt"};
#define FIELD_MAX ((uint64_t)1 << 20) /* bytes of one: a caption or a description */
#define SAMPLES_LOOKED_AT 64          /* in which columns are looked for */
#define BYTES_MAX ((uint64_t)1 << 30) /* of an image that waits for the rest of its sample: the usual limit */

typedef struct tar {
    cl_many many;
    const coulis_source_options *options;
    cl_flow *flow;
    char *archive;
    cl_tar_member ahead; /* the next member, of which only the header was read; its name is NULL when there is none */
    bool has_ahead, ended;
    coulis_error damage; /* found behind the sample given last */
    /* The sample given last. */
    cl_tar_member member;
    bool in_memory; /* its bytes were read, as fields came after them */
    bool too_large; /* too large for that */
    uint8_t *bytes;
    char *name;
    char *fields[FIELDS];
    const char *columns[FIELDS]; /* those of this archive */
    int column_field[FIELDS];    /* which field each of them is */
    const char *values[FIELDS];
} tar;

static void forget_sample(tar *t) {
    cl_tar_member_free(&t->member);
    cl_free(t->bytes);
    cl_free(t->name);
    t->bytes = NULL;
    t->name = NULL;
    t->in_memory = t->too_large = false;
    for (int i = 0; i < FIELDS; i++) {
        cl_free(t->fields[i]);
        t->fields[i] = NULL;
    }
}

/* Bytes of a name before the first dot of its last part: WebDataset's key. */
static size_t stem_of(const char *name) {
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    return (size_t)(last - name) + strcspn(last, ".");
}

static int field_of(const char *name) {
    const char *ending = name + stem_of(name);
    for (int i = 0; i < FIELDS; i++)
        if (*ending && strcmp(ending + 1, field_names[i]) == 0) return i;
    return -1;
}

static bool same_stem(const char *one, const char *other) {
    size_t length = stem_of(one);
    return length == stem_of(other) && memcmp(one, other, length) == 0;
}

/* Reads the whole of the member ahead, and what pads it. */
static coulis_status read_ahead(tar *t, uint8_t **bytes, coulis_error *error) {
    const uint64_t size = t->ahead.size;
    size_t got = 0;
    uint8_t *memory = NULL;
    coulis_status status = cl_flow_take(t->flow, (size_t)size, &memory, &got, error);
    if (!status && got < size)
        status = cl_fail(error, COULIS_BAD_DATA, "%s: is cut short in %s", t->archive, t->ahead.name);
    if (!status) status = cl_flow_skip(t->flow, cl_tar_padding(size), error);
    if (status) {
        cl_free(memory);
        return status;
    }
    *bytes = memory;
    return COULIS_OK;
}

static coulis_status skip_ahead(tar *t, coulis_error *error) {
    return cl_flow_skip(t->flow, t->ahead.size + cl_tar_padding(t->ahead.size), error);
}

/* Has the header of the next file that is taken in t->ahead. */
static coulis_status look_ahead(tar *t, coulis_error *error) {
    while (!t->has_ahead && !t->ended) {
        coulis_status status = cl_tar_next(t->flow, t->archive, &t->ahead, error);
        if (status) return status;
        if (!t->ahead.name) {
            t->ended = true;
        } else if (t->ahead.file && cl_many_takes(&t->many, t->options, t->ahead.name)) {
            t->has_ahead = true;
        } else {
            status = skip_ahead(t, error);
            cl_tar_member_free(&t->ahead);
            if (status) return status;
        }
    }
    return COULIS_OK;
}

/* Makes the member ahead the image of the sample, with its bytes, as more of the sample may follow them. */
static coulis_status take_image(tar *t, coulis_error *error) {
    t->too_large = t->ahead.size > BYTES_MAX;
    coulis_status status = t->too_large ? skip_ahead(t, error) : read_ahead(t, &t->bytes, error);
    t->in_memory = true;
    t->member = t->ahead;
    t->ahead = (cl_tar_member){0};
    t->has_ahead = false;
    return status;
}

static coulis_status take_field(tar *t, int field, coulis_error *error) {
    uint8_t *bytes = NULL;
    coulis_status status = t->ahead.size > FIELD_MAX ? skip_ahead(t, error) : read_ahead(t, &bytes, error);
    if (bytes) {
        char *text = (char *)bytes;
        size_t length = strlen(text);
        while (field != 1 && length > 0 && strchr(" \t\r\n", text[length - 1])) text[--length] = '\0';
        cl_free(t->fields[field]);
        t->fields[field] = text;
    }
    cl_tar_member_free(&t->ahead);
    t->has_ahead = false;
    return status;
}

/* The next sample: an image and the fields of its stem, before and behind it. A field without an image is a file like
 * any other. */
static coulis_status next_sample(tar *t, coulis_error *error) {
    forget_sample(t);
    if (t->damage.status != COULIS_OK) return cl_fail(error, COULIS_BAD_DATA, "%s", t->damage.message);
    coulis_status status = look_ahead(t, error);
    cl_tar_member first = {0}; /* a field, in case no image comes */
    uint8_t *first_bytes = NULL;
    while (!status && t->has_ahead) {
        const char *stem = t->member.name ? t->member.name : first.name;
        if (stem && !same_stem(stem, t->ahead.name)) break;
        int field = t->ahead.link ? -1 : field_of(t->ahead.name);
        if (field < 0 && t->member.name) break; /* the next image */
        if (field < 0) {
            status = take_image(t, error);
        } else if (t->member.name || first.name) {
            status = take_field(t, field, error);
        } else {
            first = t->ahead;
            first.name = cl_strdup(t->ahead.name);
            if (!first.name) status = cl_fail_memory(error, "a name", 0);
            else status = take_field(t, field, error);
            if (!status && t->fields[field] && !(first_bytes = (uint8_t *)cl_strdup(t->fields[field])))
                status = cl_fail_memory(error, "a field", 0);
        }
        if (!status) status = look_ahead(t, error);
        if (status == COULIS_BAD_DATA && t->member.name && (t->bytes || t->too_large)) {
            if (error) t->damage = *error; /* what is whole comes first */
            t->damage.status = (int32_t)status;
            status = COULIS_OK;
            break;
        }
    }
    if (!status && !t->member.name && first.name) { /* a text file among the images */
        t->member = first;
        t->bytes = first_bytes;
        t->in_memory = true;
        t->member.size = first_bytes ? strlen((char *)first_bytes) : 0;
        return COULIS_OK;
    }
    cl_free(first.name);
    cl_free(first_bytes);
    return status;
}

static coulis_status next(cl_many *many, coulis_item *item, coulis_error *error) {
    tar *t = (tar *)many;
    coulis_status status = next_sample(t, error);
    if (status || !t->member.name) return status;
    t->name = cl_format("%s/%s", t->archive, t->member.name);
    if (!t->name) return cl_fail_memory(error, "a name", strlen(t->member.name));
    item->name = t->name;
    item->label = t->fields[0];
    item->bytes = t->member.link ? -1 : (int64_t)t->member.size;
    item->modified = t->member.modified;
    for (int i = 0; i < many->column_count; i++) t->values[i] = t->fields[t->column_field[i]];
    item->values = many->column_count > 0 ? t->values : NULL;
    return COULIS_OK;
}

static coulis_status read_member(cl_many *many, const coulis_item *item, int64_t max_bytes, void **bytes,
                                 size_t *byte_count, coulis_error *error) {
    tar *t = (tar *)many;
    const cl_tar_member *member = &t->member;
    if (member->link)
        return cl_fail(error, COULIS_UNREADABLE, "%s is a link to %s, which is not followed within an archive",
                       item->name, member->link);
    if (member->size == 0) return cl_fail(error, COULIS_EMPTY, "%s is empty: it has no bytes", item->name);
    if (t->too_large || member->size > (uint64_t)max_bytes)
        return cl_fail(error, COULIS_TOO_LARGE, "%s has %llu bytes, more than the limit of %lld", item->name,
                       (unsigned long long)member->size, (long long)max_bytes);
    *bytes = t->bytes;
    *byte_count = (size_t)member->size;
    t->bytes = NULL;
    return COULIS_OK;
}

static void close_tar(cl_many *many) {
    tar *t = (tar *)many;
    forget_sample(t);
    cl_tar_member_free(&t->ahead);
    cl_flow_close(t->flow);
    cl_free(t->archive);
    cl_free(t);
}

static coulis_status open_tar(const char *name, const coulis_source_options *options, tar **out, coulis_error *error) {
    tar *t = cl_alloc_zero(1, sizeof *t);
    if (!t) return cl_fail_memory(error, name, sizeof *t);
    t->many = (cl_many){
        .columns = t->columns, .next = next, .read = read_member, .close = close_tar, .root = strlen(name) + 1};
    t->options = options;
    t->archive = cl_strdup(name);
    coulis_status status = t->archive ? cl_flow_open(name, options, &t->flow, error)
                                      : cl_fail_memory(error, name, strlen(name));
    if (!status) *out = t;
    else close_tar(&t->many);
    return status;
}

/* Which fields the first samples have. */
static coulis_status find_columns(const char *name, const coulis_source_options *options, bool has[FIELDS],
                                  coulis_error *error) {
    tar *t;
    coulis_status status = open_tar(name, options, &t, error);
    if (status) return status;
    for (int i = 0; i < SAMPLES_LOOKED_AT && !status; i++) {
        status = next_sample(t, error);
        if (status == COULIS_BAD_DATA && i > 0) status = COULIS_OK; /* what is whole before it has its rows */
        if (!t->member.name) break;
        bool alone = field_of(t->member.name) >= 0; /* a text file among the images */
        for (int f = 0; f < FIELDS; f++) has[f] |= !alone && t->fields[f];
    }
    close_tar(&t->many);
    return status;
}

coulis_status cl_tar_open(const char *name, const coulis_source_options *options, cl_many **many, coulis_error *error) {
    bool has[FIELDS] = {false};
    tar *t;
    coulis_status status = find_columns(name, options, has, error);
    if (!status) status = open_tar(name, options, &t, error);
    if (status) return status;
    for (int f = 0; f < FIELDS; f++) {
        if (!has[f]) continue;
        t->columns[t->many.column_count] = field_names[f];
        t->column_field[t->many.column_count++] = f;
    }
    *many = &t->many;
    return COULIS_OK;
}
