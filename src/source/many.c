#include "source/many.h"

#include <strings.h>

#include "base/files.h"
#include "source/location.h"

static const struct {
    const char *ending;
    coulis_status (*open)(const char *name, const coulis_source_options *options, cl_many **many, coulis_error *error);
} kinds[] = {{".tar", cl_tar_open},
             {".tar.gz", cl_tar_open},
             {".tgz", cl_tar_open},
             {".zip", cl_zip_open},
             {".parquet", cl_parquet_open}};

/* The place of `name` in the table, -1 for none. */
static int kind_of(const char *name) {
    size_t length = strlen(name);
    for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++) {
        size_t ending = strlen(kinds[i].ending);
        if (length > ending && strcasecmp(name + length - ending, kinds[i].ending) == 0) return i;
    }
    return -1;
}

bool cl_is_many(const char *name) { return kind_of(name) >= 0; }

coulis_status cl_many_open(const char *name, const coulis_source_options *options, int64_t *left_out, cl_many **many,
                           coulis_error *error) {
    coulis_status status = kinds[kind_of(name)].open(name, options, many, error);
    if (!status) (*many)->left_out = left_out;
    return status;
}

coulis_status cl_many_is_same(const char *name, int64_t bytes, int64_t modified, coulis_error *error) {
    cl_file_state now;
    if (bytes < 0 || cl_location_has_scheme(name)) return COULIS_OK;
    coulis_status status = cl_file_state_at(name, &now, error);
    if (status || (now.has_bytes && now.bytes == bytes && now.modified == modified)) return status;
    return cl_fail(error, COULIS_CONFLICT, "%s: changed after the job had begun; start again, into another folder",
                   name);
}

bool cl_many_takes(cl_many *many, const coulis_source_options *options, const char *member) {
    cl_verdict verdict = cl_choose_names(options, member);
    if (verdict == CL_TAKE) verdict = cl_choose_file(options, member);
    if (verdict != CL_TAKE && many->left_out) many->left_out[verdict]++;
    return verdict == CL_TAKE;
}
