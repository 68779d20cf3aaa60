/* Reading and writing safetensors files: an 8-byte length, a JSON header, bytes.
 * Format: the safetensors README (huggingface, 2022). Only F32 and F64 are used. */
#pragma once

#include "base/files.h"

#define CL_TENSOR_RANK_MAX 4

typedef enum cl_dtype { CL_F32 = 0, CL_F64 = 1 } cl_dtype;

typedef struct cl_tensor {
    const char *name;
    cl_dtype dtype;
    int32_t rank;
    int64_t shape[CL_TENSOR_RANK_MAX];
    int64_t count;    /* product of the shape */
    const void *data; /* count numbers, aligned for their type */
} cl_tensor;

typedef struct cl_safetensors cl_safetensors;

/* Reads the whole file and checks it: header size, JSON, each tensor's type, shape,
 * and byte range (inside the data, as long as its shape says, none overlapping
 * another). Failures are COULIS_MISSING, COULIS_IO, COULIS_NO_MEMORY or `bad`
 * (COULIS_BAD_MODEL or COULIS_BAD_DATA, whichever fits the caller). */
coulis_status cl_safetensors_open(const char *path, coulis_status bad, cl_safetensors **file, coulis_error *error);
void cl_safetensors_close(cl_safetensors *file);

/* NULL when there is none of that name. Lives as long as the file. */
const cl_tensor *cl_safetensors_find(const cl_safetensors *file, const char *name);

/* Text under `key` of the header's __metadata__, or NULL. Lives as long as the file. */
const char *cl_safetensors_metadata(const cl_safetensors *file, const char *key);

/* SHA-256 of the whole file as 64 hexadecimal digits. */
const char *cl_safetensors_sha256(const cl_safetensors *file);

/* Writes tensors in the given order, with `metadata_count` pairs key, value in
 * `metadata` (2 * metadata_count strings): to a temporary file beside `path`, flushed to disk,
 * then renamed, so that the file appears whole or not at all. The same arguments
 * give the same bytes. The first stops before the flush: cl_new_file_commit does the rest. */
coulis_status cl_safetensors_stage(const char *path, const cl_tensor *tensors, int32_t tensor_count,
                                   const char *const *metadata, int32_t metadata_count, cl_new_file *file,
                                   coulis_error *error);
coulis_status cl_safetensors_write(const char *path, const cl_tensor *tensors, int32_t tensor_count,
                                   const char *const *metadata, int32_t metadata_count, coulis_error *error);
