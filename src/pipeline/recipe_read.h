/* A recipe read back: the network and the options that make vectors as it says. */
#pragma once

#include "pipeline/options.h"

/* Sets in `own`, which is complete but for that, how images become vectors as `recipe` (JSON) says, and copies the
 * network's name to *model (released with cl_free). `name` is the file or folder in messages. COULIS_BAD_DATA when the
 * recipe does not say all of it, or asks for what this version does not know. */
coulis_status cl_recipe_read(const char *recipe, const char *name, cl_featurizer_options *own, char **model,
                             coulis_error *error);

/* Opens the network `model`, which must be the one of the recipe: COULIS_CONFLICT when its file has another SHA-256. */
coulis_status cl_recipe_open_model(const char *recipe, const char *name, const char *model, coulis_model **opened,
                                   coulis_error *error);
