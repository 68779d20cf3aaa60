#include "pipeline/review_part.h"

static const char *const columns[] = {"features", "pca"};

char *cl_review_path(const cl_parts *parts, cl_kind kind, int64_t number) {
    char name[CL_PART_NAME];
    cl_part_name(kind, number, name);
    return cl_format("%s/%s", parts->folder, name);
}

static bool same_text(const char *one, const char *other) { return one && other && strcmp(one, other) == 0; }

/* The first thing wrong with an open part; NULL when nothing is. */
static const char *fault(const cl_part_reader *reader, const cl_part_record *record, const cl_expected *expected) {
    if (cl_part_reader_rows(reader) != record->facts.rows ||
        (expected->rows >= 0 && record->facts.rows != expected->rows))
        return "has another number of rows than the part that was written";
    if (cl_part_reader_number(reader) != record->number) return "is another part, which took the name of this one";
    if (expected->recipe && !same_text(cl_part_reader_recipe(reader), expected->recipe))
        return "was made by another recipe";
    if (expected->pca_sha256 && !same_text(cl_part_reader_pca(reader), expected->pca_sha256))
        return "holds the scores of another PCA";
    return NULL;
}

coulis_status cl_review_part(const cl_parts *parts, cl_kind kind, int64_t number, const cl_expected *expected,
                             bool *good, coulis_error *why, coulis_error *error) {
    const cl_part_record *record = cl_parts_find(parts, kind, number);
    char *path = cl_review_path(parts, kind, number);
    if (!path) return cl_fail_memory(error, "a path", strlen(parts->folder));
    cl_file_state state;
    coulis_error problem = {0};
    coulis_status status = cl_file_state_at(path, &state, error);
    cl_part_reader *reader = NULL;
    if (status) cl_fail(&problem, status, "%s", path);
    else if (!state.has_bytes) cl_fail(&problem, COULIS_BAD_DATA, "%s: is missing", path);
    else if (!record) cl_fail(&problem, COULIS_BAD_DATA, "%s: no record says what it must be", path);
    else if (state.bytes != record->facts.bytes)
        cl_fail(&problem, COULIS_BAD_DATA, "%s: has %lld bytes, not the %lld that were written", path,
                (long long)state.bytes, (long long)record->facts.bytes);
    else if (cl_part_reader_open(path, columns[kind], &reader, &problem) == COULIS_OK) {
        const char *wrong = fault(reader, record, expected);
        if (wrong) cl_fail(&problem, COULIS_BAD_DATA, "%s: %s", path, wrong);
        cl_part_reader_close(reader);
    } else if (problem.status != COULIS_BAD_DATA && problem.status != COULIS_MISSING) {
        status = cl_fail(error, (coulis_status)problem.status, "%s", problem.message);
    }
    *good = problem.status == COULIS_OK;
    if (why) *why = problem;
    cl_free(path);
    return status;
}
