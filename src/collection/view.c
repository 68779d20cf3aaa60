/* coulis view: one HTML file that shows what a job made. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/files.h"
#include "collection/assets.h"
#include "collection/collection.h"
#include "collection/options.h"
#include "collection/originals.h"
#include "collection/report.h"
#include "collection/sheets.h"
#include "pipeline/clock.h"

/* Sides of thumbnails to try, the largest that keeps the file below its limit is taken; 0: none. */
static const int32_t sides[] = {64, 48, 32, 24, 0};

/* ---- thumbnails --------------------------------------------------------------------- */

typedef struct sheets {
    char **texts; /* base64 of each */
    int64_t count;
    cl_missing missing;
    size_t bytes;
    int32_t side;
} sheets;

static void free_sheets(sheets *s) {
    for (int64_t i = 0; s->texts && i < s->count; i++) cl_free(s->texts[i]);
    cl_free(s->texts);
    *s = (sheets){0};
}

/* Makes the sheets at one size; ends early, with `bytes` over the limit, when they do not fit. */
static coulis_status make_sheets(const cl_report *r, int32_t side, size_t limit, cl_originals *originals, sheets *s,
                                 coulis_error *error) {
    enum { EACH = CL_SHEET_COLUMNS * CL_SHEET_COLUMNS };
    s->count = side ? (r->count + EACH - 1) / EACH : 0;
    s->side = side;
    s->texts = cl_alloc_zero((size_t)s->count, sizeof *s->texts);
    if (!s->texts) return cl_fail_memory(error, "thumbnails", (size_t)s->count * sizeof *s->texts);
    coulis_status status = COULIS_OK;
    for (int64_t i = 0; i < s->count && !status && s->bytes <= limit; i++) {
        const int64_t left = r->count - i * EACH;
        cl_sheet sheet;
        status = cl_sheet_make(originals, r->paths + i * EACH, left < EACH ? left : EACH, side, &sheet, &s->missing,
                               error);
        if (status) break;
        s->texts[i] = cl_base64(sheet.jpeg, sheet.size);
        if (!s->texts[i]) status = cl_fail_memory(error, "thumbnails", sheet.size);
        else s->bytes += strlen(s->texts[i]);
        free(sheet.jpeg);
    }
    return status;
}

static coulis_status fit_sheets(const cl_report *r, size_t limit, cl_originals *originals, sheets *s,
                                coulis_error *error) {
    for (size_t i = 0;; i++) {
        coulis_status status = make_sheets(r, sides[i], limit, originals, s, error);
        if (status || s->bytes <= limit || sides[i] == 0) return status;
        free_sheets(s);
    }
}

static coulis_status make_thumbnails(const cl_report *r, const coulis_collection_options *o, cl_pool *pool, sheets *s,
                                     coulis_error *error) {
    /* What is not a thumbnail takes some 150 bytes an image, and the page and Leaflet 180 KB. */
    const int64_t rest = o->max_bytes - 200000 - 150 * r->count;
    cl_originals *originals = NULL;
    if (o->no_thumbnails) return COULIS_OK;
    coulis_status status = cl_originals_open(r->paths, r->count, o, pool, &originals, error);
    if (!status) status = fit_sheets(r, rest > 0 ? (size_t)rest : 0, originals, s, error);
    cl_originals_close(originals);
    if (status != COULIS_IO || !error) return status;
    const coulis_error reason = *error;
    return cl_fail(error, status, "%s; --no-thumbnails makes a report that needs no images", reason.message);
}

/* ---- the page ----------------------------------------------------------------------- */

static void put(cl_new_file *file, const char *text) { cl_new_file_write(file, text, strlen(text)); }

static void put_sheets(cl_new_file *file, const sheets *s) {
    for (int64_t i = 0; i < s->count; i++) {
        char tag[64];
        snprintf(tag, sizeof tag, "<script id=\"sheet%lld\" type=\"text/plain\">", (long long)i);
        put(file, tag);
        put(file, s->texts[i]);
        put(file, "</script>\n");
    }
}

/* JSON within a script: a "<" would be able to end it. */
static void put_json(cl_new_file *file, const char *json) {
    for (const char *less; (less = strchr(json, '<')); json = less + 1) {
        cl_new_file_write(file, json, (size_t)(less - json));
        put(file, "\\u003c");
    }
    put(file, json);
}

/* Writes the page, each @@NAME@@ replaced. */
static coulis_status write_page(const char *output, const char *json, const sheets *s, coulis_error *error) {
    const cl_asset page = cl_report_part("PAGE", 4);
    cl_new_file file;
    coulis_status status = cl_new_file_begin(&file, output, error);
    if (status) return status;
    const char *at = page.bytes, *end = page.bytes + page.size;
    for (const char *mark; (mark = memmem(at, (size_t)(end - at), "@@", 2));) {
        const char *name = mark + 2, *close = memmem(name, (size_t)(end - name), "@@", 2);
        const size_t length = (size_t)(close - name);
        cl_new_file_write(&file, at, (size_t)(mark - at));
        const cl_asset part = cl_report_part(name, length);
        if (part.bytes) cl_new_file_write(&file, part.bytes, part.size);
        else if (length == 4 && memcmp(name, "DATA", 4) == 0) put_json(&file, json);
        else put_sheets(&file, s);
        at = close + 2;
    }
    cl_new_file_write(&file, at, (size_t)(end - at));
    return cl_new_file_commit(&file, error);
}

static coulis_status summarize(const cl_report *r, const char *output, bool thumbnails, const sheets *s, double seconds,
                               char **summary, coulis_error *error) {
    if (!summary) return COULIS_OK;
    cJSON *root = cJSON_CreateObject();
    const bool good = root && cJSON_AddStringToObject(root, "output", output) &&
                      cJSON_AddNumberToObject(root, "images", (double)r->count) &&
                      cJSON_AddNumberToObject(root, "images_in_all", (double)r->collection.vectors.rows) &&
                      cJSON_AddBoolToObject(root, "thumbnails", thumbnails) &&
                      cJSON_AddNumberToObject(root, "thumbnail_pixels", s->side) &&
                      cJSON_AddNumberToObject(root, "thumbnails_missing", (double)s->missing.count) &&
                      cJSON_AddNumberToObject(root, "bytes", (double)cl_file_bytes(output)) &&
                      cJSON_AddNumberToObject(root, "seconds", seconds);
    *summary = cl_json_indented(root, good);
    return *summary ? COULIS_OK : cl_fail_memory(error, "the summary", 0);
}

coulis_status coulis_view(const char *folder, const char *output, const coulis_collection_options *options,
                          char **summary, coulis_error *error) {
    const double began = cl_seconds();
    coulis_collection_options o;
    coulis_status status = cl_collection_options(options, &o, error);
    if (status) return status;
    if (!folder || !output)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "view needs a folder of vectors and a file for the report");
    if (!cl_report_part("PAGE", 4).bytes)
        return cl_fail(error, COULIS_INVALID_ARGUMENT,
                       "this build of coulis has no reports: it was built without Leaflet (install libjs-leaflet and "
                       "build again)");
    cl_pool *pool = NULL;
    cl_report r = {0};
    sheets s = {0};
    char *json = NULL;
    cl_stand_in to;
    status = cl_stand_in_new(&to, output, true, error);
    if (!status) status = cl_pool_create(o.threads, &pool, error);
    if (!status) status = cl_report_make(folder, &o, pool, &r, error);
    if (!status) status = make_thumbnails(&r, &o, pool, &s, error);
    if (!status) {
        json = cl_report_json(&r, s.side);
        status = json ? write_page(to.path, json, &s, error)
                      : cl_fail_memory(error, "the report", (size_t)r.count * 200);
    }
    status = cl_stand_in_put(&to, status, error);
    if (!status) cl_missing_tell(&s.missing, r.count, &o);
    if (!status) status = summarize(&r, output, !o.no_thumbnails, &s, cl_seconds() - began, summary, error);
    cl_free(json);
    free_sheets(&s);
    cl_report_free(&r);
    cl_pool_free(pool);
    return cl_done(status, error);
}
