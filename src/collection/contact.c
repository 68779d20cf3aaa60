/* What a search found, as a page of thumbnails. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/files.h"
#include "collection/collection.h"
#include "collection/options.h"
#include "collection/originals.h"
#include "collection/sheets.h"

/* Pixels of a thumbnail's side. */
#define SIDE 160

static const char head[] = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                           "<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
                           ":root{color-scheme:light dark}\n"
                           "body{font:15px/1.4 system-ui,sans-serif;margin:1.5em}\n"
                           "ol{display:flex;flex-wrap:wrap;gap:1em;list-style:none;padding:0}\n"
                           "li{width:160px;overflow-wrap:anywhere}\n"
                           "li div{width:160px;height:160px}\n"
                           "small{opacity:.75}\n";

static void put(cl_new_file *file, const char *text) { cl_new_file_write(file, text, strlen(text)); }

/* Text in which no character is markup. */
static void put_text(cl_new_file *file, const char *text) {
    for (const char *mark; (mark = strpbrk(text, "&<>\"")); text = mark + 1) {
        cl_new_file_write(file, text, (size_t)(mark - text));
        put(file, *mark == '&' ? "&amp;" : *mark == '<' ? "&lt;" : *mark == '>' ? "&gt;" : "&quot;");
    }
    put(file, text);
}

static const char *text_of(const cJSON *match, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(match, name));
    return text ? text : "";
}

/* The thumbnails as backgrounds: a row of CL_SHEET_COLUMNS of them is one JPEG, class s0, s1, ... */
static coulis_status put_thumbnails(cl_new_file *file, const char *const *paths, int64_t count, cl_originals *originals,
                                    cl_missing *missing, coulis_error *error) {
    coulis_status status = COULIS_OK;
    for (int64_t first = 0; first < count && !status; first += CL_SHEET_COLUMNS) {
        const int64_t left = count - first;
        cl_sheet sheet;
        char rule[80]; /* with any number */
        status = cl_sheet_make(originals, paths + first, left < CL_SHEET_COLUMNS ? left : CL_SHEET_COLUMNS, SIDE,
                               &sheet, missing, error);
        if (status) break;
        char *text = cl_base64(sheet.jpeg, sheet.size);
        if (!text) status = cl_fail_memory(error, "thumbnails", sheet.size);
        snprintf(rule, sizeof rule, ".s%lld{background-image:url(data:image/jpeg;base64,",
                 (long long)(first / CL_SHEET_COLUMNS));
        put(file, rule);
        if (text) put(file, text);
        put(file, ")}\n");
        cl_free(text);
        free(sheet.jpeg);
    }
    return status;
}

static void put_match(cl_new_file *file, const cJSON *match, int64_t number) {
    const cJSON *similarity = cJSON_GetObjectItemCaseSensitive(match, "similarity");
    char text[160];
    snprintf(text, sizeof text,
             "<li><div class=\"s%lld\" role=\"img\" style=\"background-position:-%lldpx 0\" "
             "aria-label=\"",
             (long long)(number / CL_SHEET_COLUMNS), (long long)(number % CL_SHEET_COLUMNS * SIDE));
    put(file, text);
    put_text(file, text_of(match, "path"));
    snprintf(text, sizeof text, "\"></div><b>%.4f</b> ", cJSON_IsNumber(similarity) ? similarity->valuedouble : 0);
    put(file, text);
    put_text(file, text_of(match, "label"));
    put(file, "<br><small>");
    put_text(file, text_of(match, "path"));
    put(file, "</small></li>\n");
}

static coulis_status write_page(const char *output, const char *title, const cJSON *matches, const char *const *paths,
                                cl_originals *originals, cl_missing *missing, coulis_error *error) {
    cl_new_file file;
    coulis_status status = cl_new_file_begin(&file, output, error);
    if (status) return status;
    put(&file, head);
    status = put_thumbnails(&file, paths, cJSON_GetArraySize(matches), originals, missing, error);
    put(&file, "</style>\n<title>");
    put_text(&file, title);
    put(&file, "</title></head>\n<body><h1>");
    put_text(&file, title);
    put(&file, "</h1>\n<ol>\n");
    int64_t number = 0;
    const cJSON *match;
    cJSON_ArrayForEach(match, matches) put_match(&file, match, number++);
    put(&file, "</ol></body></html>\n");
    if (!status) return cl_new_file_commit(&file, error);
    cl_new_file_abort(&file);
    return status;
}

coulis_status coulis_contact_sheet(const char *matches, const char *title, const char *output,
                                   const coulis_collection_options *options, coulis_error *error) {
    coulis_collection_options o;
    coulis_status status = cl_collection_options(options, &o, error);
    if (status) return status;
    if (!matches || !output)
        return cl_fail(error, COULIS_INVALID_ARGUMENT, "a contact sheet needs what coulis_search found and a file");
    cJSON *list = cJSON_Parse(matches);
    const size_t count = (size_t)cJSON_GetArraySize(list);
    const char **paths = cl_alloc(count, sizeof *paths);
    cl_pool *pool = NULL;
    cl_originals *originals = NULL;
    cl_missing missing = {0};
    cl_stand_in to;
    if (!paths) status = cl_fail_memory(error, "a contact sheet", count * sizeof *paths);
    else if (!cJSON_IsArray(list))
        status = cl_fail(error, COULIS_INVALID_ARGUMENT, "a contact sheet needs the JSON that coulis_search gave");
    const cJSON *match;
    size_t i = 0;
    if (!status) cJSON_ArrayForEach(match, list) paths[i++] = text_of(match, "path");
    if (!status) status = cl_pool_create(o.threads, &pool, error);
    if (!status) status = cl_originals_open(paths, (int64_t)i, &o, pool, &originals, error);
    if (!status) {
        status = cl_stand_in_new(&to, output, true, error);
        if (!status) status = write_page(to.path, title ? title : "search", list, paths, originals, &missing, error);
        status = cl_stand_in_put(&to, status, error);
    }
    if (!status) cl_missing_tell(&missing, (int64_t)i, &o);
    cl_originals_close(originals);
    cJSON_Delete(list);
    cl_free(paths);
    cl_pool_free(pool);
    return cl_done(status, error);
}
