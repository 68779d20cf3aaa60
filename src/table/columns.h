/* The columns of a part, known to its writer and its reader. */
#ifndef CL_TABLE_COLUMNS_H
#define CL_TABLE_COLUMNS_H

/* Parquet's leaf columns in the order of the file; the vector's leaf is its element. */
typedef enum cl_column {
    CL_COLUMN_PATH = 0,
    CL_COLUMN_LABEL = 1,
    CL_COLUMN_STATUS = 2,
    CL_COLUMN_ERROR = 3,
    CL_COLUMN_WIDTH = 4,
    CL_COLUMN_HEIGHT = 5,
    CL_COLUMN_VECTOR = 6,
    CL_COLUMNS = 7
} cl_column;

static const char *const cl_column_names[CL_COLUMN_VECTOR] = {"path", "label", "status", "error", "width", "height"};

/* The key of the recipe among the file's key-value metadata. */
#define CL_RECIPE_KEY "coulis"

#endif
