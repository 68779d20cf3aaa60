/* Names of the columns that a source adds to those of the result. */
#pragma once

#include "base/base.h"

#define CL_COLUMNS_MAX 4096

/* Whether the result has a column of this name itself. */
bool cl_column_is_own(const char *name);
