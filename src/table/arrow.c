#include "table/arrow.h"

/* A flatbuffer, written from front to back: tables and strings come after what points to them, so every offset is known
 * when its target is put down. All numbers are little-endian; each field of a table gets four bytes, which suffice for
 * all that a schema holds (Schema.fbs and Message.fbs of Arrow name the fields and their order). */

typedef struct buffer {
    uint8_t *bytes;
    size_t size, room;
    bool failed;
} buffer;

/* What Schema.fbs calls the types, in its union Type. */
enum { TYPE_INT = 2, TYPE_FLOAT = 3, TYPE_TEXT = 5, TYPE_BOOL = 6, TYPE_FIXED_LIST = 16 };
/* precision of FloatingPoint */
enum { HALF = 0, SINGLE = 1 };
/* Fields of the tables. */
enum { MESSAGE_VERSION, MESSAGE_KIND, MESSAGE_HEADER };
enum { SCHEMA_ENDIANNESS, SCHEMA_FIELDS };
enum { FIELD_NAME, FIELD_NULLABLE, FIELD_TYPE_KIND, FIELD_TYPE, FIELD_DICTIONARY, FIELD_CHILDREN };

static void store(uint8_t *to, uint32_t number, int bytes) {
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(number >> (8 * i));
}

/* Room for some bytes, zeroed and a multiple of four; gives where it begins. */
static size_t put(buffer *b, size_t bytes) {
    const size_t at = b->size, wanted = at + (bytes + 3) / 4 * 4;
    if (!b->failed && wanted > b->room) {
        uint8_t *larger = cl_grow(b->bytes, 2 * wanted, 1);
        if (larger) {
            b->bytes = larger;
            b->room = 2 * wanted;
        }
        b->failed = !larger;
    }
    if (b->failed || wanted == at) return at;
    memset(b->bytes + at, 0, wanted - at);
    b->size = wanted;
    return at;
}

/* Lets the offset at `at` point to the place `to`. */
static void point(buffer *b, size_t at, size_t to) {
    if (!b->failed) store(b->bytes + at, (uint32_t)(to - at), 4);
}

/* A table of `count` fields, each with its number, but for those that `absent` has a bit of, to which the offset at
 * `from` points; gives where its first field is. Its vtable lies before it: the sizes of both, and where in the table
 * each field is. */
static size_t put_table(buffer *b, size_t from, int count, uint32_t absent, const uint32_t *values) {
    const size_t vtable = put(b, 4 + 2 * (size_t)count), table = put(b, 4 + 4 * (size_t)count);
    if (b->failed) return 0;
    point(b, from, table);
    store(b->bytes + vtable, 4 + 2 * (uint32_t)count, 2);
    store(b->bytes + vtable + 2, 4 + 4 * (uint32_t)count, 2);
    store(b->bytes + table, (uint32_t)(table - vtable), 4);
    for (int i = 0; i < count; i++) {
        if (absent >> i & 1) continue;
        store(b->bytes + vtable + 4 + 2 * i, 4 + 4 * (uint32_t)i, 2);
        store(b->bytes + table + 4 + 4 * i, values[i], 4);
    }
    return table + 4;
}

static void put_string(buffer *b, size_t from, const char *text) {
    const size_t length = strlen(text), at = put(b, 4 + length + 1);
    if (b->failed) return;
    point(b, from, at);
    store(b->bytes + at, (uint32_t)length, 4);
    memcpy(b->bytes + at + 4, text, length);
}

/* A vector of offsets, which are yet to point to something; gives where the first is. */
static size_t put_vector(buffer *b, size_t from, int32_t count) {
    const size_t at = put(b, 4 + 4 * (size_t)count);
    if (b->failed) return 0;
    point(b, from, at);
    store(b->bytes + at, (uint32_t)count, 4);
    return at + 4;
}

/* Int has bitWidth and is_signed; FloatingPoint has precision, FixedSizeList listSize; the other types have nothing. */
static void put_type(buffer *b, size_t from, uint32_t kind, uint32_t number) {
    const uint32_t values[] = {number, 1};
    put_table(b, from, kind == TYPE_INT ? 2 : kind == TYPE_FLOAT || kind == TYPE_FIXED_LIST ? 1 : 0, 0, values);
}

/* A field with `children` others in it; gives where the offset to the first of them is. */
static size_t put_field(buffer *b, size_t from, const char *name, uint32_t kind, uint32_t number, int32_t children) {
    const uint32_t values[] = {[FIELD_NULLABLE] = 1, [FIELD_TYPE_KIND] = kind, [FIELD_CHILDREN] = 0};
    const size_t field = put_table(b, from, FIELD_CHILDREN + 1, 1u << FIELD_DICTIONARY, values);
    put_string(b, field + 4 * FIELD_NAME, name);
    put_type(b, field + 4 * FIELD_TYPE, kind, number);
    return put_vector(b, field + 4 * FIELD_CHILDREN, children);
}

static void put_column(buffer *b, size_t from, const cl_sheet_column *column) {
    size_t child;
    switch (column->kind) {
    case CL_SHEET_TEXT: put_field(b, from, column->name, TYPE_TEXT, 0, 0); break;
    case CL_SHEET_INT64: put_field(b, from, column->name, TYPE_INT, 64, 0); break;
    case CL_SHEET_FLOAT: put_field(b, from, column->name, TYPE_FLOAT, SINGLE, 0); break;
    case CL_SHEET_BOOL: put_field(b, from, column->name, TYPE_BOOL, 0, 0); break;
    case CL_SHEET_VECTOR:
    case CL_SHEET_HALVES:
        child = put_field(b, from, column->name, TYPE_FIXED_LIST, (uint32_t)column->length, 1);
        put_field(b, child, "element", TYPE_FLOAT, column->kind == CL_SHEET_VECTOR ? SINGLE : HALF, 0);
        break;
    }
}

char *cl_arrow_schema(const cl_sheet_column *columns, int32_t count) {
    buffer b = {0};
    const uint32_t message[] = {[MESSAGE_VERSION] = 4 /* V5 */, [MESSAGE_KIND] = 1 /* Schema */, [MESSAGE_HEADER] = 0},
                   schema[] = {[SCHEMA_ENDIANNESS] = 0 /* little */, [SCHEMA_FIELDS] = 0};
    const size_t frame = put(&b, 8); /* a continuation mark, and the length of what follows */
    const size_t header = put_table(&b, put(&b, 4), MESSAGE_HEADER + 1, 0, message);
    const size_t fields = put_table(&b, header + 4 * MESSAGE_HEADER, SCHEMA_FIELDS + 1, 0, schema);
    const size_t list = put_vector(&b, fields + 4 * SCHEMA_FIELDS, count);
    for (int32_t i = 0; i < count; i++) put_column(&b, list + 4 * (size_t)i, &columns[i]);
    put(&b, (8 - b.size % 8) % 8); /* to a multiple of eight */
    if (!b.failed) {
        store(b.bytes + frame, 0xffffffff, 4);
        store(b.bytes + frame + 4, (uint32_t)(b.size - 8), 4);
    }
    char *text = b.failed ? NULL : cl_base64(b.bytes, b.size);
    cl_free(b.bytes);
    return text;
}
