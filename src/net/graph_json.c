/* Fields of the JSON that describes a network. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "net/graph_node.h"

#define NUMBER_MAX 1e30 /* well inside float32 */

coulis_status cl_refuse(const cl_graph_reader *r, const char *format, ...) {
    char reason[320];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (r->node) return cl_fail(r->error, COULIS_BAD_MODEL, "%s: node '%.80s': %s", r->file, r->node, reason);
    return cl_fail(r->error, COULIS_BAD_MODEL, "%s: %s", r->file, reason);
}

const char *cl_json_text(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

bool cl_json_whole(const cJSON *item, double low, double high, int32_t *out) {
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= low && item->valuedouble <= high) ||
        item->valuedouble != floor(item->valuedouble))
        return false;
    *out = (int32_t)item->valuedouble;
    return true;
}

coulis_status cl_read_wholes(const cl_graph_reader *r, const cJSON *object, const char *key, int count, double low,
                             double high, int32_t otherwise, int32_t *out) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!list) {
        for (int i = 0; i < count; i++) out[i] = otherwise;
        return COULIS_OK;
    }
    bool good = cJSON_IsArray(list) && cJSON_GetArraySize(list) == count;
    for (int i = 0; good && i < count; i++) good = cl_json_whole(cJSON_GetArrayItem(list, i), low, high, &out[i]);
    if (!good) return cl_refuse(r, "'%s' must be %d whole numbers from %.0f to %.0f", key, count, low, high);
    return COULIS_OK;
}

coulis_status cl_read_whole(const cl_graph_reader *r, const cJSON *json, const char *key, int32_t low, int32_t high,
                            int32_t *out) {
    if (cl_json_whole(cJSON_GetObjectItemCaseSensitive(json, key), low, high, out)) return COULIS_OK;
    return cl_refuse(r, "'%s' must be a whole number from %d to %d", key, low, high);
}

coulis_status cl_read_number(const cl_graph_reader *r, const cJSON *json, const char *key, bool may_be_missing,
                             double low, double high, double *out) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!item && may_be_missing) return COULIS_OK;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= low && item->valuedouble <= high))
        return cl_refuse(r, "'%s' must be a number from %g to %g", key, low, high);
    *out = item->valuedouble;
    return COULIS_OK;
}

coulis_status cl_read_any_number(const cl_graph_reader *r, const cJSON *json, const char *key, bool may_be_missing,
                                 double *out) {
    return cl_read_number(r, json, key, may_be_missing, -NUMBER_MAX, NUMBER_MAX, out);
}
