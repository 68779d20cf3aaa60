#include "table/npy.h"

#include <stdio.h>

#include "base/files.h"

coulis_status cl_npy_write(const char *path, const float *x, const uint16_t *halves, int64_t rows, int64_t cols,
                           coulis_error *error) {
    /* Magic, version 1.0, the length of what follows, then a Python literal, filled up with blanks to a multiple of 64
     * and ended by a line break. Every machine that coulis runs on is little-endian. */
    enum { HEADER = 128, BEFORE = 10 };
    char header[HEADER + 1];
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = HEADER - BEFORE;
    header[9] = 0;
    const int length = snprintf(header + BEFORE, sizeof header - BEFORE,
                                "{'descr': '<f%d', 'fortran_order': False, 'shape': (%lld, %lld), }", halves ? 2 : 4,
                                (long long)rows, (long long)cols);
    memset(header + BEFORE + length, ' ', (size_t)(HEADER - BEFORE - length));
    header[HEADER - 1] = '\n';
    cl_new_file file;
    coulis_status status = cl_new_file_begin(&file, path, error);
    if (status) return status;
    cl_new_file_write(&file, header, HEADER);
    if (halves) cl_new_file_write(&file, halves, (size_t)(rows * cols) * sizeof *halves);
    else cl_new_file_write(&file, x, (size_t)(rows * cols) * sizeof *x);
    return cl_new_file_commit(&file, error);
}
