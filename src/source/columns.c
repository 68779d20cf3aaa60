#include "source/columns.h"

bool cl_column_is_own(const char *name) {
    static const char *const own[] = {"path",   "label", "status", "error",    "width",   "height",
                                      "sha256", "bytes", "pca",    "modified", "features"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(name, own[i]) == 0) return true;
    return false;
}
