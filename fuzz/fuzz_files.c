/* Throws bytes at one of the readers of readers.h, named by COULIS_FUZZ_READER: model, pca, part, list, tar, zip,
 * csv, jsonl, images (a Parquet file with images) or run_json. */
#include "readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct reader *chosen;
    if (!chosen) {
        const char *name = getenv("COULIS_FUZZ_READER");
        for (int i = 0; i < READERS; i++)
            if (name && strcmp(readers[i].name, name) == 0) chosen = &readers[i];
        reader_must(chosen != NULL, "COULIS_FUZZ_READER names a reader");
    }
    reader_try(chosen, data, size);
    return 0;
}
