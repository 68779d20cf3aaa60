/* The files of a result: rows, size and digest of each, kept so that neither a kill nor a loss of power separates a
 * file from its record.
 *
 * Before a file gets its name, a line in DIR/.parts.jsonl says what it will be. So every file that has its name has a
 * line; a line without a file means nothing, and of two lines for one name the last one counts. When the job is done
 * the records stand in run.json, and the lines are removed.
 *
 * The line and the name of a part of vectors are flushed at once, as vectors take long. Those of the PCA and of scores,
 * which take seconds, are flushed when the job ends: a loss of power before may take one without the other, and a file
 * without a line is made again. */
#pragma once

#include <cjson/cJSON.h>

#include "table/part.h"

typedef enum cl_kind { CL_KIND_FEATURES = 0, CL_KIND_REDUCED = 1, CL_KIND_PCA = 2 } cl_kind;

/* "features/part-00012.parquet", or "pca.safetensors", whose number is 0. */
#define CL_PART_NAME 48
void cl_part_name(cl_kind kind, int64_t number, char name[CL_PART_NAME]);

/* The kind and number of such a name; false for another. */
bool cl_part_name_read(const char *name, cl_kind *kind, int64_t *number);

typedef struct cl_part_record {
    cl_kind kind;
    int64_t number;
    cl_part_facts facts; /* rows of a PCA: its components */
} cl_part_record;

typedef struct cl_parts {
    char *folder, *journal;  /* paths */
    int descriptor;          /* of the journal, -1 until it is written to */
    cl_part_record *records; /* sorted by kind and number */
    int64_t count, capacity;
    /* Called for each file once it has its name, NULL: nobody wants to know. */
    coulis_status (*named)(void *context, const struct cl_parts *parts, const cl_part_record *record,
                           coulis_error *error);
    void *context;
} cl_parts;

/* Reads what an earlier run wrote down in `folder`. Release with cl_parts_close also when it failed. */
coulis_status cl_parts_open(const char *folder, cl_parts *parts, coulis_error *error);
void cl_parts_close(cl_parts *parts);

/* The record of a file, NULL when there is none; lives until the next change. */
const cl_part_record *cl_parts_find(const cl_parts *parts, cl_kind kind, int64_t number);

/* Remembers a record, without writing it down. */
coulis_status cl_parts_add(cl_parts *parts, const cl_part_record *record, coulis_error *error);

/* The records in the content of a run.json: `parts`, and bytes and sha256 of `pca`. */
coulis_status cl_parts_add_summary(cl_parts *parts, const cJSON *summary, coulis_error *error);

/* Forgets the records of one kind. */
void cl_parts_forget(cl_parts *parts, cl_kind kind);

/* Writes a record down and flushes it. */
coulis_status cl_parts_promise(cl_parts *parts, const cl_part_record *record, coulis_error *error);

/* Writes a record down without flushing it, of a file that is soon made again. */
coulis_status cl_parts_note(cl_parts *parts, const cl_part_record *record, coulis_error *error);

/* Ends a part: marks it, flushes it, writes it down, gives it its name. The writer is released in any case. */
coulis_status cl_parts_commit(cl_parts *parts, cl_kind kind, int64_t number, const char *pca_sha256,
                              cl_part_writer *writer, coulis_error *error);

/* Tells of a file that has its name now. */
coulis_status cl_parts_tell(const cl_parts *parts, const cl_part_record *record, coulis_error *error);

/* The records of features and reduced as run.json has them, features only when asked for. NULL: out of memory. */
cJSON *cl_parts_json(const cl_parts *parts, bool features);

/* Removes the journal. */
coulis_status cl_parts_end(cl_parts *parts, coulis_error *error);
