#include "base/json.h"

#include "base/memory.h"

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
