#include "base/safetensors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>

#include "base/files.h"
#include "base/json.h"
#include "base/sha256.h"

/* The format's own limit on its header, 100 MB, so that a false length asks for no memory. */
#define HEADER_MAX 100000000
/* JSON numbers are read as doubles: integers are exact up to here. */
#define INTEGER_MAX 9007199254740992.0

typedef struct entry {
    const char *name; /* in the JSON tree */
    uint64_t begin, end;
} entry;

struct cl_safetensors {
    uint8_t *bytes; /* the data section, aligned: a tensor is as aligned as its offset is */
    cJSON *header;
    cl_tensor *tensors;
    void **copies; /* of tensors whose offset does not suit their type */
    int64_t count, copy_count;
    char sha256[CL_SHA256_TEXT];
};

/* Bytes of a number of each type of the format; 0 for an unknown one. */
static size_t item_size(const char *dtype) {
    static const struct {
        const char *name;
        size_t size;
    } types[] = {{"F64", 8}, {"I64", 8}, {"U64", 8},  {"F32", 4},     {"I32", 4},
                 {"U32", 4}, {"F16", 2}, {"BF16", 2}, {"I16", 2},     {"U16", 2},
                 {"I8", 1},  {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, dtype)) return types[i].size;
    return 0;
}

static bool get_integer(const cJSON *item, uint64_t *value) {
    if (!cJSON_IsNumber(item)) return false;
    double number = item->valuedouble;
    if (!(number >= 0 && number <= INTEGER_MAX) || number != (double)(uint64_t)number) return false;
    *value = (uint64_t)number;
    return true;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static int compare_places(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Checks one tensor's description and, when its type is one we use, adds it to file->tensors. */
static coulis_status read_tensor(cl_safetensors *file, const cJSON *item, size_t data_size, entry *place,
                                 const char *path, coulis_status bad, coulis_error *error) {
    const char *name = item->string;
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    if (!cJSON_IsString(dtype) || !cJSON_IsArray(shape) || !cJSON_IsArray(offsets) || !offsets->child ||
        !offsets->child->next || offsets->child->next->next)
        return cl_fail(error, bad, "'%s': the tensor '%.80s' lacks dtype, shape or data_offsets", path, name);
    uint64_t begin, end, count = 1;
    if (!get_integer(offsets->child, &begin) || !get_integer(offsets->child->next, &end) || begin > end ||
        end > data_size)
        return cl_fail(error, bad, "'%s': the tensor '%.80s' lies outside the file's %zu bytes of data", path, name,
                       data_size);
    place->begin = begin;
    place->end = end;

    size_t size = item_size(dtype->valuestring);
    int used = !strcmp(dtype->valuestring, "F32") || !strcmp(dtype->valuestring, "F64");
    cl_tensor tensor = {.name = name, .dtype = size == 8 ? CL_F64 : CL_F32};
    int zero = 0;
    for (const cJSON *extent = shape->child; extent; extent = extent->next) {
        uint64_t value;
        if (!get_integer(extent, &value))
            return cl_fail(error, bad, "'%s': the shape of the tensor '%.80s' is not made of whole numbers", path,
                           name);
        if (used && tensor.rank == CL_TENSOR_RANK_MAX)
            return cl_fail(error, bad, "'%s': the tensor '%.80s' has more than %d dimensions", path, name,
                           CL_TENSOR_RANK_MAX);
        if (used) tensor.shape[tensor.rank++] = (int64_t)value;
        zero |= value == 0;
        if (__builtin_mul_overflow(count, value ? value : 1, &count))
            return cl_fail(error, bad, "'%s': the shape of the tensor '%.80s' is too large", path, name);
    }
    if (zero) count = 0;
    uint64_t bytes;
    if (size && (__builtin_mul_overflow(count, size, &bytes) || bytes != end - begin))
        return cl_fail(error, bad,
                       "'%s': the tensor '%.80s' has %llu bytes where its shape asks for %llu numbers of %zu", path,
                       name, (unsigned long long)(end - begin), (unsigned long long)count, size);
    if (!used) return COULIS_OK;

    tensor.count = (int64_t)count;
    tensor.data = file->bytes + begin;
    if (begin % size) {
        void *copy = cl_alloc(end - begin, 1);
        if (!copy) return cl_fail_memory(error, path, end - begin);
        memcpy(copy, tensor.data, end - begin);
        file->copies[file->copy_count++] = copy;
        tensor.data = copy;
    }
    file->tensors[file->count++] = tensor;
    return COULIS_OK;
}

/* No name twice, and no byte in two tensors. */
static coulis_status check_entries(entry *entries, size_t count, const char *path, coulis_status bad,
                                   coulis_error *error) {
    qsort(entries, count, sizeof *entries, compare_names);
    for (size_t i = 1; i < count; i++)
        if (!strcmp(entries[i - 1].name, entries[i].name))
            return cl_fail(error, bad, "'%s': the name '%.80s' stands twice in the header", path, entries[i].name);
    qsort(entries, count, sizeof *entries, compare_places);
    uint64_t reached = 0;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].begin < reached && entries[i].end > entries[i].begin)
            return cl_fail(error, bad, "'%s': the tensor '%.80s' overlaps another", path, entries[i].name);
        if (entries[i].end > reached) reached = entries[i].end;
    }
    return COULIS_OK;
}

static coulis_status read_header(cl_safetensors *file, const char *text, size_t text_size, size_t data_size,
                                 const char *path, coulis_status bad, coulis_error *error) {
    const char *end = NULL;
    if (!cl_is_utf8(text, text_size)) return cl_fail(error, bad, "'%s': the header is not UTF-8", path);
    bool short_of_memory;
    file->header = cl_json_parse(text, text_size, &end, &short_of_memory);
    if (short_of_memory) return cl_fail_memory(error, path, text_size);
    if (!cJSON_IsObject(file->header)) return cl_fail(error, bad, "'%s': the header is not a JSON object", path);
    for (; end < text + text_size; end++)
        if (!strchr(" \t\r\n", *end) || !*end)
            return cl_fail(error, bad, "'%s': the header goes on after its JSON object", path);

    size_t count = 0;
    for (const cJSON *item = file->header->child; item; item = item->next) count++;
    entry *entries = cl_alloc_zero(count, sizeof *entries);
    file->tensors = cl_alloc_zero(count, sizeof *file->tensors);
    file->copies = cl_alloc_zero(count, sizeof *file->copies);
    coulis_status status = COULIS_OK;
    if (!entries || !file->tensors || !file->copies)
        status = cl_fail_memory(error, path, count * sizeof *file->tensors);
    size_t filled = 0;
    for (const cJSON *item = file->header->child; item && !status; item = item->next) {
        entry *place = &entries[filled++];
        place->name = item->string;
        if (!cJSON_IsObject(item))
            status = cl_fail(error, bad, "'%s': the entry '%.80s' of the header is not an object", path, item->string);
        else if (strcmp(item->string, "__metadata__") != 0)
            status = read_tensor(file, item, data_size, place, path, bad, error);
        else
            for (const cJSON *pair = item->child; pair && !status; pair = pair->next)
                if (!cJSON_IsString(pair))
                    status = cl_fail(error, bad, "'%s': the metadata '%.80s' is not text", path, pair->string);
    }
    if (!status) status = check_entries(entries, count, path, bad, error);
    cl_free(entries);
    return status;
}

/* Reads `size` bytes. A file is read, not mapped: one that another program shortens would kill us. */
static coulis_status read_bytes(FILE *stream, void *to, size_t size, cl_sha256 *hash, const char *path,
                                coulis_error *error) {
    /* In pieces that stay in the cache until they are hashed. */
    for (size_t done = 0; done < size;) {
        size_t piece = size - done < 262144 ? size - done : 262144;
        errno = 0;
        if (fread((uint8_t *)to + done, 1, piece, stream) != piece)
            return cl_fail(error, COULIS_IO, "cannot read '%s': %s", path,
                           ferror(stream) && errno ? strerror(errno) : "it became shorter");
        cl_sha256_add(hash, (uint8_t *)to + done, piece);
        done += piece;
    }
    return COULIS_OK;
}

static coulis_status read_file(cl_safetensors *file, FILE *stream, uint64_t size, const char *path, coulis_status bad,
                               coulis_error *error) {
    uint8_t prefix[8];
    cl_sha256 hash;
    cl_sha256_begin(&hash);
    if (size < sizeof prefix)
        return cl_fail(error, bad, "'%s' is not a safetensors file: it has %llu bytes", path, (unsigned long long)size);
    coulis_status status = read_bytes(stream, prefix, sizeof prefix, &hash, path, error);
    if (status) return status;
    uint64_t header_size = 0;
    for (int i = 7; i >= 0; i--) header_size = header_size << 8 | prefix[i];
    if (header_size > HEADER_MAX || header_size > size - sizeof prefix)
        return cl_fail(error, bad, "'%s' is not a safetensors file, or cut short: it declares a header of %llu bytes",
                       path, (unsigned long long)header_size);
    size_t data_size = (size_t)(size - sizeof prefix - header_size);
    char *text = cl_alloc(header_size + 1, 1);
    file->bytes = cl_alloc(data_size, 1);
    if (!text || !file->bytes) status = cl_fail_memory(error, path, (size_t)size);
    if (!status) status = read_bytes(stream, text, header_size, &hash, path, error);
    if (!status) status = read_bytes(stream, file->bytes, data_size, &hash, path, error);
    if (!status) {
        cl_sha256_end(&hash, file->sha256);
        status = read_header(file, text, header_size, data_size, path, bad, error);
    }
    cl_free(text);
    return status;
}

coulis_status cl_safetensors_open(const char *path, coulis_status bad, cl_safetensors **file, coulis_error *error) {
    FILE *stream;
    uint64_t size;
    coulis_status status = cl_file_open(path, &stream, &size, error);
    if (status) return status;
    cl_safetensors *made = cl_alloc_zero(1, sizeof *made);
    if (!made) status = cl_fail_memory(error, path, sizeof *made);
    else status = read_file(made, stream, size, path, bad, error);
    fclose(stream);
    if (status) cl_safetensors_close(made);
    else *file = made;
    return status;
}

void cl_safetensors_close(cl_safetensors *file) {
    if (!file) return;
    for (int64_t i = 0; i < file->copy_count; i++) cl_free(file->copies[i]);
    cl_free(file->copies);
    cl_free(file->tensors);
    cl_free(file->bytes);
    cJSON_Delete(file->header);
    cl_free(file);
}

const cl_tensor *cl_safetensors_find(const cl_safetensors *file, const char *name) {
    for (int64_t i = 0; i < file->count; i++)
        if (!strcmp(file->tensors[i].name, name)) return &file->tensors[i];
    return NULL;
}

const char *cl_safetensors_metadata(const cl_safetensors *file, const char *key) {
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(file->header, "__metadata__");
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, key));
}

const char *cl_safetensors_sha256(const cl_safetensors *file) { return file->sha256; }

/* ---- writing --------------------------------------------------------------------------- */

static size_t tensor_bytes(const cl_tensor *tensor) {
    return (size_t)tensor->count * (tensor->dtype == CL_F64 ? 8 : 4);
}

static bool add_tensor(cJSON *header, const cl_tensor *tensor, size_t begin) {
    cJSON *item = cJSON_AddObjectToObject(header, tensor->name);
    if (!cJSON_AddStringToObject(item, "dtype", tensor->dtype == CL_F64 ? "F64" : "F32")) return false;
    cJSON *shape = cJSON_AddArrayToObject(item, "shape");
    for (int32_t i = 0; i < tensor->rank; i++)
        if (!cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tensor->shape[i]))) return false;
    cJSON *offsets = cJSON_AddArrayToObject(item, "data_offsets");
    return cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin)) &&
           cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)(begin + tensor_bytes(tensor))));
}

/* The header as text (released with cJSON_free), or NULL when out of memory. */
static char *write_header(const cl_tensor *tensors, int32_t tensor_count, const char *const *metadata,
                          int32_t metadata_count) {
    cJSON *header = cJSON_CreateObject();
    bool good = header != NULL;
    if (metadata_count > 0 && good) {
        cJSON *pairs = cJSON_AddObjectToObject(header, "__metadata__");
        for (int32_t i = 0; i < metadata_count && good; i++)
            good = cJSON_AddStringToObject(pairs, metadata[2 * i], metadata[2 * i + 1]) != NULL;
    }
    size_t place = 0;
    for (int32_t i = 0; i < tensor_count && good; i++) {
        good = add_tensor(header, &tensors[i], place);
        place += tensor_bytes(&tensors[i]);
    }
    char *text = good ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    return text;
}

coulis_status cl_safetensors_stage(const char *path, const cl_tensor *tensors, int32_t tensor_count,
                                   const char *const *metadata, int32_t metadata_count, cl_new_file *file,
                                   coulis_error *error) {
    char *text = write_header(tensors, tensor_count, metadata, metadata_count);
    if (!text) return cl_fail_memory(error, "the header of a safetensors file", (size_t)tensor_count * 256);
    coulis_status status = cl_new_file_begin(file, path, error);
    if (!status) {
        /* Spaces up to a multiple of 8, so that the data section is aligned in the file too. */
        size_t length = strlen(text), padded = (length + 7) / 8 * 8;
        uint8_t prefix[8];
        for (int i = 0; i < 8; i++) prefix[i] = (uint8_t)((uint64_t)padded >> (8 * i));
        cl_new_file_write(file, prefix, sizeof prefix);
        cl_new_file_write(file, text, length);
        cl_new_file_write(file, "       ", padded - length);
        for (int32_t i = 0; i < tensor_count; i++) cl_new_file_write(file, tensors[i].data, tensor_bytes(&tensors[i]));
    }
    cJSON_free(text);
    return status;
}

coulis_status cl_safetensors_write(const char *path, const cl_tensor *tensors, int32_t tensor_count,
                                   const char *const *metadata, int32_t metadata_count, coulis_error *error) {
    cl_new_file file;
    coulis_status status = cl_safetensors_stage(path, tensors, tensor_count, metadata, metadata_count, &file, error);
    return status ? status : cl_new_file_commit(&file, error);
}
