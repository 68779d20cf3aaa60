/* A file that holds many images: an archive or a table. */
#pragma once

#include "source/choose.h"

/* Each kind begins with this struct. Its items come in the order of the file, each to be read before the next. */
typedef struct cl_many cl_many;
struct cl_many {
    /* Names of its text columns; an item has as many values. */
    const char *const *columns;
    int column_count;
    /* The next item; item->name NULL: there are no more. item->label NULL: the folder in the name is the label. */
    coulis_status (*next)(cl_many *many, coulis_item *item, coulis_error *error);
    /* The bytes of the item given last, released with cl_free. */
    coulis_status (*read)(cl_many *many, const coulis_item *item, int64_t max_bytes, void **bytes, size_t *byte_count,
                          coulis_error *error);
    void (*close)(cl_many *many);
    /* How many bytes of an item's name are the file's own, with the slash behind it. */
    size_t root;
    bool paths_only; /* its items are not to be read here: they name files */
    /* Files not taken, by reason; belongs to the inputs. */
    int64_t *left_out;
};

/* Whether a name's ending is that of such a file, in any case of letters: .tar, .tar.gz, .tgz, .zip, .parquet. */
bool cl_is_many(const char *name);

/* Opens the file `name`. COULIS_MISSING, COULIS_IO, or COULIS_BAD_DATA when it is not what its ending says. */
coulis_status cl_many_open(const char *name, const coulis_source_options *options, int64_t *left_out, cl_many **many,
                           coulis_error *error);

/* COULIS_CONFLICT where a file is not as it was listed: `bytes` (-1: not known) and `modified`, as in cl_entry. What
 * has been read of it then mixes two states, or is of another than the recipe names. */
coulis_status cl_many_is_same(const char *name, int64_t bytes, int64_t modified, coulis_error *error);

/* The kinds. */
coulis_status cl_tar_open(const char *name, const coulis_source_options *options, cl_many **many, coulis_error *error);
coulis_status cl_zip_open(const char *name, const coulis_source_options *options, cl_many **many, coulis_error *error);
coulis_status cl_parquet_open(const char *name, const coulis_source_options *options, cl_many **many,
                              coulis_error *error);

/* Whether a member of an archive is taken; counts it in left_out when not. */
bool cl_many_takes(cl_many *many, const coulis_source_options *options, const char *member);
