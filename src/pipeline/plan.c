#include "pipeline/plan.h"

#include <cjson/cJSON.h>

#include "base/json.h"
#include "image/format.h"
#include "pipeline/clock.h"
#include "source/path_text.h"

#define LOOK_EVERY 64    /* images, at the clock */
#define REPORT_EVERY 0.2 /* seconds */

typedef struct planning {
    cl_inputs *inputs;
    const cl_earlier *earlier;
    const coulis_job_options *options;
    coulis_plan *plan;
    int32_t *seen; /* of each earlier row that is the first of its path: how many images have that path now */
    bool *moved;   /* its content is under another path now */
    coulis_error *error;
} planning;

/* The hash of an image's bytes; false when they cannot be read, which is a row like any other. */
static coulis_status hash_item(const planning *p, coulis_item *item, bool *read, char sha256[CL_SHA256_TEXT]) {
    const coulis_source *source = &p->inputs->table;
    void *bytes = NULL;
    size_t size = 0;
    coulis_error problem;
    coulis_status status = source->read(source->context, item, p->options->featurizer->image->max_bytes, &bytes, &size,
                                        &problem);
    *read = !status;
    if (status >= COULIS_INVALID_ARGUMENT) return cl_fail(p->error, status, "%s", problem.message);
    if (status) return COULIS_OK;
    cl_sha256 hash;
    cl_sha256_begin(&hash);
    cl_sha256_add(&hash, bytes, size);
    cl_sha256_end(&hash, sha256);
    source->release(source->context, bytes);
    return COULIS_OK;
}

/* Whether a row without a vector is worth another try: a text beside the images is not. */
static bool is_failure(const cl_earlier_row *row, const char *path) {
    return row->status != COULIS_OK && !(row->status == COULIS_UNSUPPORTED && !cl_is_image_name(path));
}

/* An image of a path that the earlier result has, in another state, or of which no state is known. */
static coulis_status compare_known(const planning *p, coulis_item *item, const cl_earlier_row *row, bool other) {
    bool read = false, same = false;
    char sha256[CL_SHA256_TEXT];
    int64_t found = -1;
    coulis_status status = hash_item(p, item, &read, sha256);
    if (status) return status;
    if (read) {
        char before[CL_SHA256_TEXT] = "";
        if (row->has_sha256) cl_earlier_sha256(p->earlier, row - cl_earlier_row_at(p->earlier, 0), before);
        same = strcmp(before, sha256) == 0;
        found = cl_earlier_with_bytes(p->earlier, sha256);
    }
    if (found >= 0) p->plan->carried++;
    if (same && row->status == COULIS_OK) p->plan->touched += other;
    else if (row->status != COULIS_OK && (same || !read))
        p->plan->failed += is_failure(row, cl_earlier_path(p->earlier, row - cl_earlier_row_at(p->earlier, 0)));
    else p->plan->changed++;
    return COULIS_OK;
}

/* An image of a path that the earlier result has not. */
static coulis_status compare_new(const planning *p, coulis_item *item, const cl_file_state *now) {
    bool read = false;
    char sha256[CL_SHA256_TEXT];
    coulis_status status = COULIS_OK;
    if (p->earlier && (!now->has_bytes || cl_earlier_has_size(p->earlier, now->bytes)))
        status = hash_item(p, item, &read, sha256);
    const int64_t found = read ? cl_earlier_with_bytes(p->earlier, sha256) : -1;
    if (status || found < 0) {
        p->plan->added++;
        return status;
    }
    const char *path = cl_earlier_path(p->earlier, found);
    p->moved[cl_earlier_with_path(p->earlier, path)] = true;
    p->plan->moved++;
    p->plan->carried++;
    return COULIS_OK;
}

static coulis_status compare_item(const planning *p, coulis_item *item, const cl_file_state *now) {
    char *path = cl_path_text(item->name);
    if (!path) return cl_fail_memory(p->error, "a path", strlen(item->name));
    const int64_t first = p->earlier ? cl_earlier_with_path(p->earlier, path) : -1;
    coulis_status status = COULIS_OK;
    if (first < 0) {
        status = compare_new(p, item, now);
    } else {
        const cl_earlier_row *row = cl_earlier_row_at(p->earlier, first);
        if (p->seen[first] < INT32_MAX) p->seen[first]++;
        const bool known = now->has_bytes && now->has_modified, same = cl_file_state_equal(now, &row->file);
        if (same && is_failure(row, path)) p->plan->failed++;
        else if (same && known) p->plan->carried += row->status == COULIS_OK;
        else status = compare_known(p, item, row, !same);
    }
    cl_free(path);
    return status;
}

static coulis_status report(const planning *p, double began, double *last) {
    const double now = cl_seconds();
    if (!p->options->progress || now - *last < REPORT_EVERY) return COULIS_OK;
    *last = now;
    const coulis_progress progress = {.size = sizeof progress,
                                      .stage = COULIS_STAGE_LIST,
                                      .done = p->plan->images,
                                      .total = p->inputs->table.count,
                                      .seconds = now - began};
    if (!p->options->progress(p->options->context, &progress)) return COULIS_OK;
    return cl_fail(p->error, COULIS_INTERRUPTED, "interrupted before anything was done");
}

static coulis_status compare_all(const planning *p) {
    const coulis_source *source = &p->inputs->table;
    const bool tells = cl_inputs_tell_states(p->inputs);
    const double began = cl_seconds();
    double last = began;
    for (;;) {
        coulis_item item = {.size = sizeof item, .bytes = -1, .modified = CL_NO_TIME};
        coulis_status status = source->next(source->context, &item, p->error);
        if (status || !item.name) return status;
        cl_file_state now = {.has_bytes = item.bytes >= 0,
                             .bytes = item.bytes,
                             .has_modified = item.modified != CL_NO_TIME,
                             .modified = item.modified};
        if (tells) status = cl_inputs_state(p->inputs, p->plan->images, &now, p->error);
        if (status) return status;
        if (item.now) now.has_modified = false;
        p->plan->images++;
        status = compare_item(p, &item, &now);
        if (!status && p->plan->images % LOOK_EVERY == 0) status = report(p, began, &last);
        if (status) return status;
    }
}

coulis_status cl_plan_make(cl_inputs *inputs, const cl_earlier *earlier, const coulis_job_options *options,
                           coulis_plan *plan, coulis_error *error) {
    const int64_t rows = earlier ? cl_earlier_count(earlier) : 0;
    planning p = {.inputs = inputs, .earlier = earlier, .options = options, .plan = plan, .error = error};
    *plan = (coulis_plan){.size = sizeof *plan};
    p.seen = cl_alloc_zero((size_t)rows + 1, sizeof *p.seen);
    p.moved = cl_alloc_zero((size_t)rows + 1, sizeof *p.moved);
    coulis_status status = p.seen && p.moved ? COULIS_OK : cl_fail_memory(error, "a plan", (size_t)rows);
    if (!status) status = compare_all(&p);
    for (int64_t i = 0; !status && i < rows; i++) {
        int64_t gone = cl_earlier_row_at(earlier, i)->times - p.seen[i];
        if (gone > 0 && p.moved[i]) gone--;
        if (gone > 0) plan->gone += gone;
    }
    cl_free(p.seen);
    cl_free(p.moved);
    cl_inputs_rewind(inputs);
    return status;
}

bool cl_plan_has_work(const coulis_plan *p) {
    return p->added + p->changed + p->failed + p->moved + p->touched + p->gone > 0;
}

char *cl_plan_json(const coulis_plan *p) {
    const struct {
        const char *name;
        int64_t count;
    } entries[] = {{"images", p->images}, {"new", p->added},       {"changed", p->changed}, {"failed", p->failed},
                   {"moved", p->moved},   {"touched", p->touched}, {"gone", p->gone},       {"carried", p->carried}};
    cJSON *root = cJSON_CreateObject();
    bool good = root != NULL;
    for (size_t i = 0; good && i < sizeof entries / sizeof *entries; i++)
        good = cJSON_AddNumberToObject(root, entries[i].name, (double)entries[i].count) != NULL;
    return cl_json_page(root, good);
}
