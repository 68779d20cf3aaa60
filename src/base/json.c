#include "base/json.h"

/* What cJSON needs for a byte of text at most: "0," is an item. */
#define ITEM_BYTES (sizeof(cJSON) / 2 + 16)

cJSON *cl_json_parse(const char *text, size_t length, const char **end, bool *short_of_memory) {
    const char *reached;
    *short_of_memory = false;
    cJSON *json = cJSON_ParseWithLengthOpts(text, length, &reached, 0);
    /* Memory may have been short for a moment. */
    if (!json) json = cJSON_ParseWithLengthOpts(text, length, &reached, 0);
    if (!json) {
        /* Up to where it was read, there must be memory for it. */
        void *memory = cl_alloc((size_t)(reached - text) + 1, ITEM_BYTES);
        *short_of_memory = memory == NULL;
        cl_free(memory);
    }
    if (end) *end = reached;
    return json;
}

static char *copy_of(char *printed, cJSON *value, const char *end) {
    char *copy = printed ? cl_format("%s%s", printed, end) : NULL;
    cJSON_free(printed);
    cJSON_Delete(value);
    return copy;
}

char *cl_json_line(cJSON *value, bool good) { return copy_of(good ? cJSON_PrintUnformatted(value) : NULL, value, ""); }

char *cl_json_indented(cJSON *value, bool good) { return copy_of(good ? cJSON_Print(value) : NULL, value, ""); }

char *cl_json_page(cJSON *value, bool good) { return copy_of(good ? cJSON_Print(value) : NULL, value, "\n"); }
