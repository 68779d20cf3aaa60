/* One Parquet file of a table: a "part". */
#pragma once

#include "base/files.h"

/* One row. An image without a vector has a status other than COULIS_OK, an error, and
 * vector NULL. Width and height 0 mean unknown and are written as null, as is what is not known of the file. */
typedef struct cl_row {
    const char *path;
    const char *label;
    int32_t status;    /* COULIS_OK or an image status */
    const char *error; /* NULL when ok */
    int32_t width, height;
    const float *vector;
    cl_file_state file;       /* when it was read */
    const char *sha256;       /* of the file, 64 hexadecimal digits; NULL when unknown */
    const char *const *extra; /* a text, or NULL, for each of the table's further columns; NULL: none of them */
    int32_t extra_count;
} cl_row;

/* The names of further text columns, which come from where the images did. */
typedef struct cl_extra {
    const char *const *names;
    int32_t count;
} cl_extra;

/* Copies `row` with its texts, which lie in the memory returned (released with cl_free); the vector is shared.
 * NULL when memory is short. */
char *cl_row_copy(const cl_row *row, cl_row *copy);

typedef struct cl_part_writer cl_part_writer;

/* Begins the part `path` in a temporary file beside it. Columns: path, label, status
 * (string, required), error (string, null when ok), width, height (int32, nullable), then
 * `column` (list<float>, null when not ok; "features" or "pca"), whose vectors have
 * `length` numbers, then sha256 (string), bytes (int64) and modified (timestamp in microseconds, UTC) of the file,
 * null where unknown, and the `extra` ones. `recipe` is stored as key-value metadata under "coulis". */
coulis_status cl_part_writer_open(const char *path, const char *column, int64_t length, const char *recipe,
                                  const cl_extra *extra, cl_part_writer **writer, coulis_error *error);

/* Appends `count` rows as one row group. The caller picks `count` so that it depends
 * on nothing but the vector length (see cl_row_group_rows). */
coulis_status cl_part_writer_write(cl_part_writer *writer, const cl_row *rows, int64_t count, coulis_error *error);

/* Says in the footer which part of its table this is, and of which PCA (SHA-256 of its file; NULL for none) its scores
 * are: so a part that took another's name is told from it without reading its rows. */
coulis_status cl_part_writer_mark(cl_part_writer *writer, int64_t number, const char *pca_sha256, coulis_error *error);

/* A finished file. */
typedef struct cl_part_facts {
    int64_t rows, bytes;
    char sha256[CL_SHA256_TEXT];
} cl_part_facts;

/* Writes the footer and flushes the file to disk, still under its temporary name. On failure the writer is released. */
coulis_status cl_part_writer_seal(cl_part_writer *writer, cl_part_facts *facts, coulis_error *error);

/* Unless it is sealed, writes the footer, flushes the file to disk, renames it to its name and flushes the
 * folder. The writer is released in any case; on failure the temporary file is removed. */
coulis_status cl_part_writer_commit(cl_part_writer *writer, coulis_error *error);

/* What the commit flushes; without it, all. */
void cl_part_writer_flushing(cl_part_writer *writer, cl_flushing flushing);

/* Gives up: releases the writer and removes the temporary file. NULL is allowed. */
void cl_part_writer_abort(cl_part_writer *writer);

/* Rows in a row group for vectors of `length` numbers: about 32 MiB of them, 1 to 8192. */
int64_t cl_row_group_rows(int64_t length);

typedef struct cl_part_reader cl_part_reader;

/* Opens a part and checks that it has the columns above, in any order; those of the file may be missing. Other columns
 * of texts are its further ones, and what is neither is passed over. */
coulis_status cl_part_reader_open(const char *path, const char *column, cl_part_reader **reader, coulis_error *error);
/* The same of a file of another program, too: it needs nothing but a column of vectors (cl_find_columns_of_others).
 * Paths and labels that it lacks are "", and a row without a vector has the status COULIS_UNREADABLE where no column
 * says more. */
coulis_status cl_part_reader_open_any(const char *path, const char *column, cl_part_reader **reader,
                                      coulis_error *error);
void cl_part_reader_close(cl_part_reader *reader);

const char *cl_part_reader_path(const cl_part_reader *reader);
int64_t cl_part_reader_rows(const cl_part_reader *reader);
/* Numbers in each vector; 0 when no row has one. Differing lengths are refused at open or at read. */
int64_t cl_part_reader_length(const cl_part_reader *reader);
/* Closes the file until the next read and frees what was read: a table of very many parts would
 * use up the process's file descriptors otherwise. */
void cl_part_reader_rest(cl_part_reader *reader);

/* Its further text columns; the names live as long as the reader. */
cl_extra cl_part_reader_extra(const cl_part_reader *reader);

/* The metadata under "coulis", or NULL. Lives as long as the reader. */
const char *cl_part_reader_recipe(const cl_part_reader *reader);
/* What cl_part_writer_mark said: -1 and NULL where nothing was. */
int64_t cl_part_reader_number(const cl_part_reader *reader);
const char *cl_part_reader_pca(const cl_part_reader *reader);
int32_t cl_part_reader_row_groups(const cl_part_reader *reader);

/* Reads one row group. *rows (count *count) and all they point to belong to the reader and live until the next call or
 * close. Vectors stand one after another, without gaps. `with_vectors` 0 leaves every vector NULL, and the further
 * columns, without reading them. */
coulis_status cl_part_reader_read(cl_part_reader *reader, int32_t row_group, int32_t with_vectors, const cl_row **rows,
                                  int64_t *count, coulis_error *error);
