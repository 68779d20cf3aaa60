/* Zip archives, by their central directory: stored and deflated members, Zip64. */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <zlib.h>

#include "base/crc32.h"
#include "source/list.h"
#include "source/location.h"
#include "source/many.h"

/* PKWARE, APPNOTE.TXT 6.3: signatures and lengths of records. */
#define END_SIGNATURE 0x06054B50u
#define END64_SIGNATURE 0x06064B50u
#define LOCATOR64_SIGNATURE 0x07064B50u
#define ENTRY_SIGNATURE 0x02014B50u
#define LOCAL_SIGNATURE 0x04034B50u
enum { END_SIZE = 22, LOCATOR64_SIZE = 20, END64_SIZE = 56, ENTRY_SIZE = 46, LOCAL_SIZE = 30 };
#define DEFLATE_MAX 1032 /* no byte deflates to more; memory is not to be asked for what cannot be there */
#define DIRECTORY_MAX ((uint64_t)1 << 32)

typedef struct zip {
    cl_many many;
    const coulis_source_options *options;
    FILE *stream;
    char *archive;
    uint64_t size;      /* of the archive */
    uint8_t *directory; /* the central directory */
    size_t directory_size, at;
    /* The member given last. */
    char *name;
    uint64_t packed, unpacked, offset;
    uint32_t check_sum;
    uint16_t method, flags;
} zip;

static uint16_t u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t u32(const uint8_t *p) { return (uint32_t)u16(p) | (uint32_t)u16(p + 2) << 16; }
static uint64_t u64(const uint8_t *p) { return (uint64_t)u32(p) | (uint64_t)u32(p + 4) << 32; }

static coulis_status damaged(const zip *z, const char *what, coulis_error *error) {
    return cl_fail(error, COULIS_BAD_DATA, "%s: is a damaged zip archive: %s", z->archive, what);
}

static coulis_status read_at(const zip *z, uint64_t offset, void *bytes, size_t size, coulis_error *error) {
    if (offset > z->size || size > z->size - offset) return damaged(z, "it is cut short", error);
    errno = 0;
    if (fseeko(z->stream, (off_t)offset, SEEK_SET) != 0 || fread(bytes, 1, size, z->stream) != size)
        return cl_fail(error, COULIS_IO, "%s: cannot be read: %s", z->archive, strerror(errno ? errno : EIO));
    return COULIS_OK;
}

/* Where the central directory is, from the record at the end, before which a comment of up to 64 KiB may stand. */
static coulis_status find_directory(const zip *z, uint64_t *offset, uint64_t *size, coulis_error *error) {
    const size_t tail = z->size < END_SIZE + 65535 ? (size_t)z->size : END_SIZE + 65535;
    uint8_t *bytes = cl_alloc(tail + 1, 1), record[END64_SIZE];
    if (!bytes) return cl_fail_memory(error, z->archive, tail);
    coulis_status status = read_at(z, z->size - tail, bytes, tail, error);
    size_t at = tail >= END_SIZE ? tail - END_SIZE + 1 : 0;
    /* A comment may hold the signature, too: behind the record there is as much as it says. */
    while (!status && at > 0 &&
           (u32(bytes + at - 1) != END_SIGNATURE || u16(bytes + at - 1 + 20) != tail - (at - 1) - END_SIZE))
        at--;
    if (!status && at == 0) status = damaged(z, "its end is missing, or it is not a zip", error);
    if (!status) {
        const uint8_t *end = bytes + at - 1;
        *size = u32(end + 12);
        *offset = u32(end + 16);
        const uint64_t place = z->size - tail + at - 1;
        if ((*size == UINT32_MAX || *offset == UINT32_MAX || u16(end + 10) == UINT16_MAX) && place >= LOCATOR64_SIZE) {
            status = read_at(z, place - LOCATOR64_SIZE, record, LOCATOR64_SIZE, error);
            if (!status && u32(record) == LOCATOR64_SIGNATURE) {
                status = read_at(z, u64(record + 8), record, END64_SIZE, error);
                if (!status && u32(record) != END64_SIGNATURE)
                    status = damaged(z, "its Zip64 record is missing", error);
                *size = u64(record + 40);
                *offset = u64(record + 48);
            }
        }
    }
    cl_free(bytes);
    if (!status && (*size > DIRECTORY_MAX || *offset > z->size || *size > z->size - *offset))
        return damaged(z, "its directory is outside of it", error);
    return status;
}

/* Sizes and offset that do not fit 32 bits are in an extra field. */
static void read_zip64(zip *z, const uint8_t *extra, size_t size) {
    while (size >= 4) {
        size_t length = u16(extra + 2), left;
        if (length > size - 4) return;
        const uint8_t *at = extra + 4;
        left = length;
        if (u16(extra) == 1) {
            uint64_t *fields[] = {&z->unpacked, &z->packed, &z->offset};
            for (int i = 0; i < 3; i++) {
                if (*fields[i] != UINT32_MAX || left < 8) continue;
                *fields[i] = u64(at);
                at += 8;
                left -= 8;
            }
        }
        extra += 4 + length;
        size -= 4 + length;
    }
}

/* DOS's date and time, which name no time zone: taken as UTC. */
static int64_t time_of(uint16_t day, uint16_t clock) {
    struct tm t = {.tm_year = (day >> 9) + 80,
                   .tm_mon = (day >> 5 & 15) - 1,
                   .tm_mday = day & 31,
                   .tm_hour = clock >> 11,
                   .tm_min = clock >> 5 & 63,
                   .tm_sec = (clock & 31) * 2};
    return day == 0 ? CL_NO_TIME : (int64_t)timegm(&t) * 1000000;
}

static coulis_status next(cl_many *many, coulis_item *item, coulis_error *error) {
    zip *z = (zip *)many;
    for (;;) {
        const uint8_t *entry = z->directory + z->at;
        const size_t left = z->directory_size - z->at;
        if (left == 0) return COULIS_OK;
        if (left < ENTRY_SIZE || u32(entry) != ENTRY_SIGNATURE) return damaged(z, "its directory is malformed", error);
        const size_t name = u16(entry + 28), extra = u16(entry + 30), comment = u16(entry + 32);
        if (left - ENTRY_SIZE < name + extra + comment) return damaged(z, "its directory is malformed", error);
        z->at += ENTRY_SIZE + name + extra + comment;
        z->flags = u16(entry + 8);
        z->method = u16(entry + 10);
        z->check_sum = u32(entry + 16);
        z->packed = u32(entry + 20);
        z->unpacked = u32(entry + 24);
        z->offset = u32(entry + 42);
        read_zip64(z, entry + ENTRY_SIZE + name, extra);
        cl_free(z->name);
        z->name = cl_format("%s/%.*s", z->archive, (int)name, (const char *)entry + ENTRY_SIZE);
        if (!z->name) return cl_fail_memory(error, z->archive, name);
        for (char *slash = z->name + many->root; (slash = strchr(slash, '\\')) != NULL;) *slash = '/'; /* of Windows */
        const char *member = z->name + many->root;
        if (!*member || member[strlen(member) - 1] == '/' || !cl_many_takes(many, z->options, member)) continue;
        item->name = z->name;
        item->bytes = z->unpacked <= INT64_MAX ? (int64_t)z->unpacked : -1;
        item->modified = time_of(u16(entry + 14), u16(entry + 12));
        return COULIS_OK;
    }
}

static coulis_status unreadable(const zip *z, const char *what, coulis_error *error) {
    return cl_fail(error, COULIS_UNREADABLE, "%s cannot be read: %s", z->name, what);
}

/* The packed bytes of the member. */
static coulis_status read_packed(const zip *z, uint8_t *packed, coulis_error *error) {
    uint8_t local[LOCAL_SIZE];
    coulis_status status = read_at(z, z->offset, local, LOCAL_SIZE, error);
    if (!status && u32(local) != LOCAL_SIGNATURE) return damaged(z, "a header is missing", error);
    if (status) return status;
    return read_at(z, z->offset + LOCAL_SIZE + u16(local + 26) + u16(local + 28), packed, (size_t)z->packed, error);
}

static coulis_status unpack(const zip *z, const uint8_t *packed, uint8_t *bytes, coulis_error *error) {
    if (z->method == 0) {
        memcpy(bytes, packed, (size_t)z->unpacked);
        return COULIS_OK;
    }
    z_stream s = {.next_out = bytes, .avail_out = (uInt)z->unpacked, .avail_in = (uInt)z->packed};
    union {
        const uint8_t *given;
        Bytef *wanted;
    } in = {packed}; /* zlib does not write there */
    s.next_in = in.wanted;
    if (inflateInit2(&s, -15) != Z_OK) return cl_fail_memory(error, z->name, 0);
    int code = inflate(&s, Z_FINISH);
    inflateEnd(&s);
    if (code == Z_MEM_ERROR) return cl_fail_memory(error, z->name, 0);
    if (code == Z_STREAM_END && s.avail_out == 0) return COULIS_OK;
    return unreadable(z, "its compressed bytes are damaged", error);
}

static coulis_status read_member(cl_many *many, const coulis_item *item, int64_t max_bytes, void **out,
                                 size_t *byte_count, coulis_error *error) {
    const zip *z = (const zip *)many;
    (void)item;
    if (z->flags & 1) return unreadable(z, "it is encrypted", error);
    if (z->method != 0 && z->method != 8) return unreadable(z, "its compression is neither store nor deflate", error);
    if (z->unpacked == 0) return cl_fail(error, COULIS_EMPTY, "%s is empty: it has no bytes", z->name);
    if (z->unpacked > (uint64_t)max_bytes || z->unpacked > UINT32_MAX)
        return cl_fail(error, COULIS_TOO_LARGE, "%s has %llu bytes, more than the limit of %lld", z->name,
                       (unsigned long long)z->unpacked, (long long)max_bytes);
    if (z->packed > z->size || z->packed > UINT32_MAX || (z->method == 0 && z->packed != z->unpacked) ||
        z->unpacked / DEFLATE_MAX > z->packed)
        return unreadable(z, "its sizes have no sense", error);
    uint8_t *packed = cl_alloc((size_t)z->packed, 1), *bytes = cl_alloc((size_t)z->unpacked, 1);
    coulis_status status = packed && bytes ? read_packed(z, packed, error)
                                           : cl_fail_memory(error, z->name, (size_t)z->unpacked);
    if (status == COULIS_BAD_DATA) status = unreadable(z, "the archive is damaged there", error);
    if (!status) status = unpack(z, packed, bytes, error);
    if (!status && cl_crc32(0, bytes, z->unpacked) != z->check_sum)
        status = unreadable(z, "its check sum is wrong", error);
    cl_free(packed);
    if (status) {
        cl_free(bytes);
        return status;
    }
    *out = bytes;
    *byte_count = (size_t)z->unpacked;
    return COULIS_OK;
}

static void close_zip(cl_many *many) {
    zip *z = (zip *)many;
    if (z->stream) fclose(z->stream);
    cl_free(z->directory);
    cl_free(z->name);
    cl_free(z->archive);
    cl_free(z);
}

coulis_status cl_zip_open(const char *name, const coulis_source_options *options, cl_many **many, coulis_error *error) {
    zip *z = cl_alloc_zero(1, sizeof *z);
    if (!z) return cl_fail_memory(error, name, sizeof *z);
    z->many = (cl_many){.next = next, .read = read_member, .close = close_zip, .root = strlen(name) + 1};
    z->options = options;
    z->archive = cl_strdup(name);
    uint64_t offset = 0, size = 0;
    coulis_status status = z->archive ? cl_location_open(name, options, &z->stream, &z->size, error)
                                      : cl_fail_memory(error, name, strlen(name));
    if (!status) status = find_directory(z, &offset, &size, error);
    if (!status && !(z->directory = cl_alloc((size_t)size + 1, 1))) status = cl_fail_memory(error, name, (size_t)size);
    if (!status) status = read_at(z, offset, z->directory, (size_t)size, error);
    z->directory_size = (size_t)size;
    if (!status) *many = &z->many;
    else close_zip(&z->many);
    return status;
}
