/* The columns of a part, known to its writer and its reader. */
#pragma once

#include "base/base.h"

/* Parquet's leaf columns in the order of the file; the vector's leaf is its element. */
typedef enum cl_column {
    CL_COLUMN_PATH = 0,
    CL_COLUMN_LABEL = 1,
    CL_COLUMN_STATUS = 2,
    CL_COLUMN_ERROR = 3,
    CL_COLUMN_WIDTH = 4,
    CL_COLUMN_HEIGHT = 5,
    CL_COLUMN_VECTOR = 6,
    /* Of the file. Tables of version 0.1 and of other programs have none of these. */
    CL_COLUMN_SHA256 = 7,
    CL_COLUMN_BYTES = 8,
    CL_COLUMN_MODIFIED = 9,
    CL_COLUMNS = 10
} cl_column;

/* NULL stands for the vector, which is named "features" or "pca". */
static const char *const cl_column_names[CL_COLUMNS] = {"path",   "label", "status", "error", "width",
                                                        "height", NULL,    "sha256", "bytes", "modified"};

static inline bool cl_column_is_text(int column) { return column <= CL_COLUMN_ERROR || column == CL_COLUMN_SHA256; }
static inline bool cl_column_is_wide(int column) { return column == CL_COLUMN_BYTES || column == CL_COLUMN_MODIFIED; }

/* The key of the recipe among the file's key-value metadata. */
#define CL_RECIPE_KEY "coulis"
/* Likewise: the number of the part, and SHA-256 of the PCA's file. */
#define CL_PART_KEY "coulis.part"
#define CL_PCA_KEY "coulis.pca_sha256"
