#pragma once

#include "base/base.h"

/* coulis_model_find; with `graph_only`, NAME.graph.json will do where there are no weights. */
coulis_status cl_model_find(const char *name, bool graph_only, char *path, size_t capacity, coulis_error *error);
